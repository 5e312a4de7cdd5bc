"""The exporter configuration for a running demo: every collector on, polled every few seconds.

The secrets stand in the text: they are made up and open nothing but the demo.
"""

from string import Template

from exporter.demo import konstantly, learning360, pybossa, viktor
from exporter.demo.engineering import AUDIT_EVENT_TYPES
from exporter.demo.server import Demo

_TEMPLATE = Template("""\
defaults: {interval: 15s, timeout: 1m}
targets:
  - name: academy
    platform: konstantly
    url: $konstantly_url
    api_key: $konstantly_api_key
    requests_per_second: $requests_per_second
    collectors:
      statistics: {interval: 10s}
      groups: on
      users: {enabled: true, interval: 30s}
      courses: {enabled: true, interval: 30s}
  - name: bridges
    platform: viktor
    url: $viktor_url
    token: $viktor_token
    org_domain: $viktor_org_domain
    requests_per_second: $requests_per_second
    collectors:
      users: on
      developers: on
      workspaces: on
      apps: on
      audit_events:
        enabled: true
        event_types: [$viktor_event_types]
  - name: crowd
    platform: pybossa
    url: $pybossa_url
    api_key: $pybossa_api_key
    requests_per_second: $requests_per_second
    collectors:
      stats: {interval: 10s}
      globalstats: {interval: 10s}
      projects: on
      queues: {enabled: true, interval: 10s}
  - name: learning
    platform: learning360
    url: $learning360_url
    client_id: $learning360_client_id
    client_secret: $learning360_client_secret
    requests_per_second: $requests_per_second
    collectors:
      users: on
      courses: on
      groups: on
      attempts: {interval: 30s}
      paths: on
      path_stats: on
      classrooms: on
      skills: on
      projects: on
  - name: learning-v1
    platform: learning360
    url: $learning360_url
    api_version: v1
    company_id: $learning360_company_id
    api_key: $learning360_api_key
    requests_per_second: $requests_per_second
    collectors:
      users: on
      courses: on
      groups: on
      attempts: {interval: 30s}
      paths: on
      path_stats: {interval: 30s}
""")


def configuration(demo: Demo, requests_per_second: int = 50) -> str:
    """The YAML text; the two targets `learning` and `learning-v1` poll the same platform by either API version."""
    return _TEMPLATE.substitute(
        requests_per_second=requests_per_second,
        konstantly_url=demo.konstantly.url,
        konstantly_api_key=konstantly.API_KEY,
        viktor_url=demo.viktor.url,
        viktor_token=viktor.TOKEN,
        viktor_org_domain=viktor.ORG_DOMAIN,
        viktor_event_types=", ".join(AUDIT_EVENT_TYPES),
        pybossa_url=demo.pybossa.url,
        pybossa_api_key=pybossa.ADMIN_KEY,
        learning360_url=demo.learning360.url,
        learning360_client_id=learning360.CLIENT_ID,
        learning360_client_secret=learning360.CLIENT_SECRET,
        learning360_company_id=learning360.COMPANY_ID,
        learning360_api_key=learning360.API_KEY,
    )
