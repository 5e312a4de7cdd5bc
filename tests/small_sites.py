"""The smallest site of every platform: one complete reply for each endpoint that a collector asks."""

from typing import Any

from exporter.platforms.konstantly.settings import KonstantlySettings
from exporter.platforms.learning360.settings import Learning360Settings
from exporter.platforms.pybossa.settings import PybossaSettings
from exporter.platforms.viktor.settings import ViktorSettings
from exporter.settings import TargetSettings

URL = "https://site.test"

SETTINGS: dict[str, TargetSettings] = {
    "konstantly": KonstantlySettings(name="site", platform="konstantly", url=URL, api_key="k"),
    "viktor": ViktorSettings(
        name="site",
        platform="viktor",
        url=URL,
        token="t",
        collectors={"audit_events": {"event_types": ["USER.LOGIN"]}},
    ),
    "pybossa": PybossaSettings(name="site", platform="pybossa", url=URL),
    "learning360": Learning360Settings(name="site", platform="learning360", url=URL, client_id="i", client_secret="s"),
    "learning360 v1": Learning360Settings(
        name="site", platform="learning360", url=URL, api_version="v1", company_id="c", api_key="k"
    ),
}

_USER = {"id": "u-1", "name": "A B", "email": "ab@example.org", "isBanned": False, "role": {"alias": "learner"}}
_GROUP = {"id": 4, "parentId": None, "name": "Field crew", "usersCount": 3, "coursesCount": 1}
_COURSE = {"id": 31, "name": "Safety", "isDraft": False}
_KONSTANTLY = {
    "/openapi/v1/statistics": {
        "statistics": {"coursesCount": 7, "assignedCoursesCount": 41, "groupsCount": 3, "usersCount": 19},
        "usersWithoutActivity": [_USER],
        "usersWithoutResults": [_USER],
        "leaders": [{"coursesCount": 5, "resultValue": 88, "user": _USER}],
        "unassignedCourses": [_COURSE],
    },
    "/openapi/v1/groups": {"groups": [_GROUP], "totalCount": 1},
    "/openapi/v1/groups/4/statistics": {
        "group": _GROUP,
        "usersWithoutActivity": [],
        "usersWithoutResults": [_USER],
        "leaders": [],
    },
    "/openapi/v1/users": {"users": [_USER], "totalCount": 1},
    "/openapi/v1/courses": {"courses": [_COURSE], "totalCount": 1},
    "/openapi/v1/courses/31/assignments/users": {
        "assignments": [
            {
                "progressValue": 40,
                "resultValue": 50,
                "isCourseStarted": True,
                "isCourseFinished": True,
                "isExpired": False,
                "user": _USER,
            }
        ],
        "totalCount": 1,
    },
}

_DAY = {"year": 2027, "month": 1, "day": 14}
_MONTH = {"year": 2027, "month": 1}
_VIKTOR = {
    "/api/statistics/": {
        "users": {
            "total_users": [{**_DAY, "count": 65}],
            "daily_active_users": {
                "per_day": [{**_DAY, "count": 11}],
                "per_week": [{"year": 2027, "week": 2, "count": 30}],
                "per_month": [{**_MONTH, "count": 90}],
            },
            "monthly_active_users": [{**_MONTH, "count": 40}],
        },
        "developers": {
            "total_developers": [{**_DAY, "count": 6}],
            "daily_active_developers": {
                "per_day": [{**_DAY, "count": 1}],
                "per_week": [{"year": 2027, "week": 2, "count": 3}],
                "per_month": [{**_MONTH, "count": 9}],
            },
            "monthly_active_developers": [{**_MONTH, "count": 4}],
        },
        "workspaces": {
            "total_users": [{**_DAY, "12": 9}],
            "monthly_active_users": [{**_MONTH, "12": 7}],
            "daily_active_users": {"per_month": [{**_MONTH, "12": 21}]},
        },
    },
    "/api/workspaces/": {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [{"id": 12, "name": "Pile design", "type": "PROJECT", "visibility": "INTERNAL"}],
    },
    "/api/apps/": {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [{"id": 3, "is_archived": False, "latest_published_app_version": {"id": 8}}],
    },
    "/api/statistics/details/audit_events/": {"count": 17, "next": None, "previous": None, "results": []},
}

_PYBOSSA = {
    "/stats/": {
        "stats": {
            "n_anon": 5,
            "n_auth": 6,
            "n_published_projects": 4,
            "n_draft_projects": 1,
            "n_tasks": 90,
            "n_task_runs": 70,
        },
        "top5_projects_24_hours": [{"short_name": "galaxy", "n_answers": 33}],
        "top5_users_24_hours": [{"name": "ada", "n_answers": 12}],
        "locs": [],
    },
    "/api/globalstats": {
        "n_results": 8,
        "n_tasks": 180,
        "n_pending_tasks": 110,
        "categories": [{"thinking": 4}, {"featured": 1}, {"draft": 1}],
    },
    "/api/category": [{"id": 1, "short_name": "thinking"}],
    "/api/favorites": [],
    "/api/project": [{"id": 1, "short_name": "galaxy", "name": "Galaxy", "category_id": 1}],
    "/api/projectstats": [
        {
            "id": 1,
            "project_id": 1,
            "n_tasks": 10,
            "n_completed_tasks": 9,
            "n_task_runs": 20,
            "n_results": 8,
            "n_volunteers": 4,
            "overall_progress": 90,
            "average_time": 12.5,
            "last_activity": "2026-11-20T18:00:00.123456",
        }
    ],
    "/admin/rq/queues.json": {"queues": [{"name": "high", "count": 2}]},
}

_ID = "507f1f77bcf86cd799439011"
_AT = "2027-01-14T10:00:00.000Z"
_V2 = "/api/v2"
_LEARNING360 = {
    f"{_V2}/oauth2/token": {"token_type": "Bearer", "access_token": "t", "expires_in": 3600},
    f"{_V2}/users": [{"_id": _ID, "status": "active", "lastLoginDate": _AT}],
    f"{_V2}/courses": [{"_id": _ID, "name": "Safety", "status": "published", "type": "native"}],
    f"{_V2}/groups": [{"_id": _ID, "public": True}],
    f"{_V2}/courses/stats": [
        {
            "_id": _ID,
            "courseId": _ID,
            "userId": _ID,
            "timeSpent": 60_000,
            "progress": 100,
            "score": 80,
            "firstActivityAt": _AT,
            "lastActivityAt": _AT,
            "completedAt": _AT,
        }
    ],
    f"{_V2}/paths": [{"_id": _ID, "status": "published"}],
    f"{_V2}/paths/sessions": [{"_id": _ID, "startDate": _AT, "endDate": _AT}],
    f"{_V2}/paths/stats": [{"_id": _ID, "status": {"type": "late"}, "enrolledAt": _AT, "dueDate": _AT}],
    f"{_V2}/classrooms": [{"_id": _ID}],
    f"{_V2}/skills": [{"_id": _ID, "status": "published"}],
    f"{_V2}/skills/powers": [{"_id": _ID, "status": "validated"}],
    f"{_V2}/projects": [{"_id": _ID, "completed": False}],
}

_V1 = "/api/v1"
_LEARNING360_V1 = {
    f"{_V1}/users": [{"_id": _ID, "mail": "ab@example.org", "deleted": False}],
    f"{_V1}/courses": [{"_id": _ID, "name": "Safety", "status": "published"}],
    f"{_V1}/groups": [{"_id": _ID, "name": "Field crew"}],
    f"{_V1}/courses/stats": [
        {
            "course": {"_id": _ID},
            "stats": [
                {
                    "user": {"_id": _ID},
                    "attempts": [{"_id": _ID, "globalTime": 60_000, "progress": 100, "score": 80, "completedAt": _AT}],
                }
            ],
        }
    ],
    f"{_V1}/paths": [{"_id": _ID, "name": "Onboarding"}],
    f"{_V1}/paths/sessions": [{"sessionId": _ID, "startDate": _AT, "endDate": None}],
    f"{_V1}/paths/sessions/{_ID}/stats/users": {
        "sessionId": _ID,
        "usersStats": [{"_id": _ID, "detailedStatus": {"type": "late"}, "completedAt": None}],
    },
}

REPLIES: dict[str, dict[str, Any]] = {
    "konstantly": _KONSTANTLY,
    "viktor": _VIKTOR,
    "pybossa": _PYBOSSA,
    "learning360": _LEARNING360,
    "learning360 v1": _LEARNING360_V1,
}
"""JSON documents by site and path; `learning360 v1` is the same platform by its other API."""
