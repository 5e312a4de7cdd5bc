// Dashboards, rules and alerts as a monitoring mixin; docs/alerts.md explains the parameters, which `_config` holds.
// The texts are those that `make docs` fills in for prometheus/rules/.
local parameters = import 'prometheus/parameters.json';
local groups(source) = std.parseYaml(source).groups;
local withKey(group, key) = group { rules: [rule for rule in group.rules if std.objectHas(rule, key)] };
local holding(groups, key) = [group for group in [withKey(group, key) for group in groups] if std.length(group.rules) > 0];

{
  _config:: { [name]: parameters[name].value for name in std.objectFields(parameters) },

  local all = std.flattenArrays([groups(source % $._config) for source in [
    importstr 'prometheus/source/exporter.yml',
    importstr 'prometheus/source/konstantly.yml',
    importstr 'prometheus/source/learning360.yml',
    importstr 'prometheus/source/pybossa.yml',
    importstr 'prometheus/source/usage.yml',
    importstr 'prometheus/source/viktor.yml',
  ]]),

  grafanaDashboards+:: {
    'engagement-exporter-health.json': import 'grafana/dashboards/exporter-health.json',
    'engagement-konstantly.json': import 'grafana/dashboards/konstantly.json',
    'engagement-learning360.json': import 'grafana/dashboards/learning360.json',
    'engagement-overview.json': import 'grafana/dashboards/overview.json',
    'engagement-pybossa.json': import 'grafana/dashboards/pybossa.json',
    'engagement-viktor.json': import 'grafana/dashboards/viktor.json',
  },
  prometheusRules+:: { groups+: holding(all, 'record') },
  prometheusAlerts+:: { groups+: holding(all, 'alert') },
}
