"""HTTP to a platform: authentication, paging, pace, retry, and the meaning of status codes."""
