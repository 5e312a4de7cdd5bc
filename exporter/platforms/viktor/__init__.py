"""VIKTOR, a platform for engineering apps.

API reference: https://docs.viktor.ai/docs/api/rest (read 2026-11).

- Authentication: a personal access token as bearer. It has its owner's rights, and the activity of an environment is
  for organisation admins only.
- Paging: `limit` and `offset`; `count` holds the length of the whole list. A page may be shorter than `limit`. `next`
  holds the URL of the next page and is not read, as in the vendor's own SDK: a list by offset shifts under a walk, and
  only one that asks for an overlap notices. `/api/statistics/` is not paged.
- Limits: none documented; numbers change at most daily.
- Windows are those of the calendar: their numbers leave the page when they end, and the next poll is due then. It is
  spread over a minute, so the numbers are away for a minute and the time of a run, or until the platform is back.
- Contradictions accepted: the reference calls the members of all three scopes required and says that only the scope
  asked for arrives; the members of `workspaces` are objects in its tables and lists in its text; the list of
  workspaces is nested once more in an older copy.
- Not said: the time zone of days (UTC is assumed), the numbering of weeks (ISO is assumed), the order of points (none
  is assumed), and whether a quiet day is a 0 or no point (a missing point is no sample).
- `include_development` and `include_archived` are described by a third party only, as for organisation admins. They
  are sent all the same: the statistics need that right anyway, and they count development workspaces, one for each
  developer and app, which only the list can tell from the others.
- A workspace that the statistics know and the list does not keeps its numbers and has no `viktor_workspace_info`:
  its name and type are unknown, and unknown is absent.

An excerpt of what is exposed:

    viktor_users 65
    viktor_daily_active_users{window="yesterday"} 11
    viktor_monthly_active_users{window="last_month"} 40
    viktor_window_start_timestamp_seconds{window="last_month"} 1769904000
    viktor_workspace_info{workspace="12",name="Pile design",type="PROJECT",visibility="INTERNAL"} 1
    viktor_workspace_monthly_active_users{workspace="12",window="this_month"} 9

One file per collector (users and developers share one): its families, the replies it reads, how they become samples,
and the collector itself; `statistics.py` is what three of them share, `history.py` what is known of the past.
"""

from exporter.platform import Platform
from exporter.platforms.viktor import apps, audit_events, people, workspaces
from exporter.platforms.viktor.history import HISTORIES
from exporter.platforms.viktor.settings import ViktorSettings, access

PLATFORM = Platform(
    name="viktor",
    settings=ViktorSettings,
    access=access,
    collectors=(
        people.USERS_COLLECTOR,
        people.DEVELOPERS_COLLECTOR,
        workspaces.COLLECTOR,
        apps.COLLECTOR,
        audit_events.COLLECTOR,
    ),
    credential="an organisation admin's personal access token, from the profile settings; it may do what its owner may",
    planned_for="500 workspaces and 150 apps",
    histories=HISTORIES,
)
