"""The rows of 360Learning's API v2: one function per kind, from a record of the academy to the documented fields.

A field that has no value is left out, never null.
"""

from datetime import datetime
from typing import Any

from exporter.demo.attempts import Attempt
from exporter.demo.catalogue import Classroom, Course, LiveProject, Path, PathSession, Skill
from exporter.demo.learning360_filters import iso
from exporter.demo.obligations import Enrollment, SkillPower
from exporter.demo.roster import Group, Person

Row = dict[str, Any]


def user_view(person: Person, last_login_at: datetime | None, now: datetime, has_status: bool) -> Row:
    """A user; without `has_status` in the older shape, with `deleted`."""
    status = person.status(now)
    row: Row = {"status": status} if has_status else {"deleted": status == "deleted"}
    row |= {
        "_id": person.id,
        "lang": person.language,
        "mail": person.mail,
        "username": person.mail.partition("@")[0],
        "firstName": person.first_name,
        "lastName": person.last_name,
        "job": person.job,
        "primaryGroupId": person.group.id,
    }
    if last_login_at:
        row["lastLoginDate"] = iso(last_login_at)
    if status == "deleted" and person.left_at:
        row["deletedAt"] = [iso(person.left_at)]
    return row


def course_view(course: Course, now: datetime) -> Row:
    """A course; `modifiedAt` does not move when it is archived or deleted."""
    return {
        "_id": course.id,
        "name": course.name,
        "status": course.status(now),
        "type": course.type,
        "authorId": course.author.id,
        "coAuthorIds": [],
        "groupId": course.group.id,
        "sourceLang": course.author.language,
        "defaultLang": course.author.language,
        "createdAt": iso(course.created_at),
        "modifiedAt": iso(course.modified_at(now)),
        "translations": [],
        "duration": course.duration_minutes,
    }


def attempt_view(attempt: Attempt, _now: datetime) -> Row:
    """A course attempt, as listed by /courses/stats."""
    row: Row = {
        "_id": attempt.id,
        "courseId": attempt.course.id,
        "userId": attempt.person.id,
        "lang": attempt.person.language,
        "timeSpent": attempt.time_spent_ms,
        "progress": attempt.progress,
    }
    if attempt.course.type == "native":
        row["versionNumber"] = 1
    if attempt.score is not None:
        row["score"] = attempt.score
    if attempt.first_activity_at and attempt.last_activity_at:
        row["firstActivityAt"] = iso(attempt.first_activity_at)
        row["lastActivityAt"] = iso(attempt.last_activity_at)
    if attempt.completed_at:
        row["completedAt"] = iso(attempt.completed_at)
    if attempt.path_session:
        row["pathId"] = attempt.path_session.path.id
        row["pathSessionId"] = attempt.path_session.id
    return row


def group_view(group: Group, _now: datetime) -> Row:
    """A group; the one at the top has no `parentId`."""
    row: Row = {"_id": group.id, "name": group.name, "public": group.public}
    if group.parent:
        row["parentId"] = group.parent.id
    return row


def path_view(path: Path, now: datetime) -> Row:
    """A learning path with its steps, all of them courses."""
    return {
        "_id": path.id,
        "name": path.name,
        "status": path.status(now),
        "authorId": path.author.id,
        "coAuthorIds": [],
        "groupId": path.group.id,
        "createdAt": iso(path.created_at),
        "modifiedAt": iso(path.created_at),
        "options": {"linearProgression": True},
        "steps": [{"_id": course.id, "type": "course"} for course in path.courses],
    }


def session_view(session: PathSession, _now: datetime) -> Row:
    """A path session; one without an end has no `endDate`."""
    row: Row = {
        "_id": session.id,
        "pathId": session.path.id,
        "name": session.name,
        "groupId": session.path.group.id,
        "mainInstructorId": session.instructor.id,
        "instructorIds": [session.instructor.id],
        "startDate": iso(session.start_at),
        "createdAt": iso(session.created_at),
        "modifiedAt": iso(session.created_at),
        "isAudienceBuilder": False,
        "registrationRequestValidation": "disabled",
    }
    if session.end_at:
        row["endDate"] = iso(session.end_at)
    return row


def enrollment_view(enrollment: Enrollment, now: datetime) -> Row:
    """The statistics of one user in one path session, as listed by /paths/stats."""
    status = enrollment.status(now)
    is_judged = status in {"successful", "toRetake"}
    started_at = enrollment.started_at if enrollment.is_started(now) else None
    days = (now - started_at).days if started_at else 0
    row: Row = {
        "_id": enrollment.id,
        "pathId": enrollment.session.path.id,
        "sessionId": enrollment.session.id,
        "userId": enrollment.person.id,
        "progress": 100 if is_judged or status == "awaitingCorrection" else min(95, 3 * days),
        "status": {"type": status} | ({"reason": "sessionEnded"} if status == "unsuccessful" else {}),
        "timeSpent": min(days, 20) * 900_000,
        "enrolledAt": iso(enrollment.created_at),
        "selfEnrolled": enrollment.self_enrolled,
    }
    dates = {
        "startedAt": started_at,
        "completedAt": enrollment.judged_at if enrollment.is_completed(now) else None,
        "dueDate": enrollment.due_at,
        "unenrolledAt": enrollment.unenrolled_at if enrollment.is_unenrolled(now) else None,
    }
    row |= {name: iso(moment) for name, moment in dates.items() if moment}
    return row | ({"score": enrollment.score} if is_judged else {})


def classroom_view(classroom: Classroom, _now: datetime) -> Row:
    """A classroom."""
    return {
        "_id": classroom.id,
        "name": classroom.name,
        "groupId": classroom.group.id,
        "mediaIds": [],
        "createdAt": iso(classroom.created_at),
    }


def skill_view(skill: Skill, now: datetime) -> Row:
    """A skill."""
    return {
        "_id": skill.id,
        "name": skill.name,
        "status": skill.status(now),
        "parents": [],
        "translations": [],
        "updatedAt": iso(skill.created_at),
    }


def power_view(power: SkillPower, now: datetime) -> Row:
    """A skill of a user."""
    return {
        "_id": power.id,
        "skillId": power.skill.id,
        "userId": power.person.id,
        "status": power.status(now),
        "qualifiers": [],
    }


def project_view(project: LiveProject, now: datetime) -> Row:
    """A live project."""
    return {
        "_id": project.id,
        "name": project.name,
        "completed": project.is_completed(now),
        "groupId": project.group.id,
    }
