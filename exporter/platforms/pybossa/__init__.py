"""PYBOSSA: users, projects, tasks and task runs of a crowdsourcing server.

API reference: https://docs.pybossa.com/api/stats/ and https://docs.pybossa.com/api/ (read 2026-11), checked against
the source and a running server of v4.0.3.

- Authentication: none on an unmodified server. A key goes into the header Authorization as it is, without a scheme; a
  wrong one is no error there but makes the caller anonymous, so /api/favorites is asked, which answers 401 to these. A
  server that asks everybody to sign in answers with a redirect to its sign-in page, and the job queues need an
  administrator's key. With a key, lists hold only the caller's own projects unless `all=1` is sent; so it is.
- JSON: /stats/ and /admin are web pages that turn into JSON for the request header `Content-Type: application/json`
  (exactly that) and, in newer versions, for `response_format=json`; /stats/ is asked with both. It ends in a slash,
  /api/globalstats does not.
- Paging: `limit` (at most 100) and `last_id`. Hidden rows make a page short although more follow, so the walk ends with
  an empty one.
- Limits: 300 requests in 900 s for each endpoint of /api and client address, told in X-RateLimit headers.
- Age: totals are cached for up to a day, and the reply does not tell their age. They come also while the database is
  away, so a category is asked for, which is not cached.
- Size: /api/project holds the page code of each project, and no parameter leaves it out.
- Accepted contradictions: `locs` is a list, a list inside a text, or absent; the top lists have two spellings in the
  documentation; totals may stand in `stats` or only in the chart data; `last_activity` may be null or "0"; servers
  before v2.11.1 send no `n_tasks` in /api/globalstats, where it means wanted answers, not tasks as in /stats/.

What is exposed, in excerpt:

    pybossa_users{kind="anonymous"} 5
    pybossa_projects{status="published"} 4
    pybossa_top_project_task_runs{project="galaxy"} 33
    pybossa_project_completed_tasks{project="1"} 9
"""

from datetime import timedelta

from exporter.platform import Limit, Platform
from exporter.platforms.pybossa.access import access
from exporter.platforms.pybossa.history import HISTORIES
from exporter.platforms.pybossa.projects import PROJECTS_COLLECTOR
from exporter.platforms.pybossa.server import GLOBALSTATS_COLLECTOR, QUEUES_COLLECTOR, STATS_COLLECTOR
from exporter.platforms.pybossa.settings import PybossaSettings

PLATFORM = Platform(
    name="pybossa",
    settings=PybossaSettings,
    access=access,
    collectors=(STATS_COLLECTOR, GLOBALSTATS_COLLECTOR, PROJECTS_COLLECTOR, QUEUES_COLLECTOR),
    credential=(
        "None on an unmodified server. Else make a user for the exporter and take the API key from its profile page; "
        "the key can do whatever that user can, writing included. The collector queues needs an administrator's key."
    ),
    planned_for="1,000 published projects, 1,000 drafts, up to 100 categories",
    histories=HISTORIES,
    limit=Limit(300, timedelta(minutes=15), is_per_endpoint=True, under="/api/"),
    has_rights=lambda settings: settings.secret("api_key") is not None,
)
