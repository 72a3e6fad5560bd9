-- name: key
SELECT key
FROM signing_key
