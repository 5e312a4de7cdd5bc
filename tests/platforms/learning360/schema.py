"""The keys that the vendor's OpenAPI description of API v2 (2026-07) requires of a row, by list."""

REQUIRED = {
    "/users": {"_id", "status", "lang"},
    "/courses": {
        *("_id", "name", "status", "type", "authorId", "coAuthorIds", "groupId", "sourceLang", "defaultLang"),
        *("createdAt", "modifiedAt", "translations"),
    },
    "/courses/stats": {"_id", "courseId", "userId", "lang", "timeSpent", "progress"},
    "/groups": {"_id", "name", "public"},
    "/paths": {
        *("_id", "name", "status", "authorId", "coAuthorIds", "groupId", "createdAt", "modifiedAt", "options", "steps"),
    },
    "/paths/sessions": {
        *("_id", "pathId", "name", "groupId", "mainInstructorId", "instructorIds", "startDate", "createdAt"),
        *("modifiedAt", "isAudienceBuilder", "registrationRequestValidation"),
    },
    "/paths/stats": {
        *("_id", "pathId", "sessionId", "userId", "progress", "status", "timeSpent", "enrolledAt", "selfEnrolled"),
    },
    "/classrooms": {"_id", "name", "groupId", "mediaIds"},
    "/skills": {"_id", "name", "status", "parents", "translations"},
    "/skills/powers": {"_id", "skillId", "userId", "status", "qualifiers"},
    "/projects": {"_id", "name", "completed", "groupId"},
}
