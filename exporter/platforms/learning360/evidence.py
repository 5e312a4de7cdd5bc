"""What the shapes of 360Learning's replies rest on, in either version of its API."""

from exporter.evidence import Basis, Evidence


def schema(endpoint: str) -> Basis:
    """Say that the description of v2 has the shape."""
    return Basis(endpoint, Evidence.REFERENCE, "the vendor's OpenAPI description of 2026-07", api_version="v2")


def guide(endpoint: str, title: str) -> Basis:
    """Say that a guide to the migration shows a reply of v1."""
    return Basis(endpoint, Evidence.SAMPLE, f"the vendor's migration guide “{title}”, read 2026-11", api_version="v1")


USERS = (
    schema("/users"),
    Basis(
        "/users",
        Evidence.INFERRED,
        "That deleted users are listed, with their status, unless a filter leaves them out.",
        "one list of a company that has deleted a user",
        "v2",
    ),
    guide("/users", "List all users"),
)
COURSES = (schema("/courses"), guide("/courses", "List all courses"))
GROUPS = (schema("/groups"), guide("/groups", "List all groups"))
ATTEMPTS = (
    Basis(
        "/courses/stats",
        Evidence.SAMPLE,
        "the vendor's migration guides of the course statistics, and the OpenAPI description of 2026-07",
        api_version="v2",
    ),
    guide("/courses/stats", "List all courses statistics"),
)
PATHS = (
    schema("/paths"),
    Basis(
        "/paths",
        Evidence.INFERRED,
        "That the reply is an array, as all lists of v1 are: the guide “List all paths” shows one path alone.",
        "one reply of v1",
        "v1",
    ),
)
PATH_SESSIONS = (schema("/paths/sessions"), guide("/paths/sessions", "List all sessions in a path"))
_SESSION_STATS = "/paths/sessions/{session}/stats/users"
PATH_STATS = (
    schema("/paths/stats"),
    guide("/paths/sessions", "List all sessions in a path"),
    guide(_SESSION_STATS, "List all user path session statistics"),
    Basis(
        _SESSION_STATS,
        Evidence.INFERRED,
        "That a user who was taken out of a session is no longer listed, since no key tells of it.",
        "the statistics of a session that somebody was taken out of",
        "v1",
    ),
)
CLASSROOMS = (schema("/classrooms"),)
SKILLS = (schema("/skills"), schema("/skills/powers"))
PROJECTS = (schema("/projects"),)
