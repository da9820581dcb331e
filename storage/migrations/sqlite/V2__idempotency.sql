-- A client's own name for one request: claimed with its first upload, done with its jobs.

CREATE TABLE idempotency (
    doc    TEXT NOT NULL,
    tenant TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.key.tenant') VIRTUAL,
    route  TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.key.route') VIRTUAL,
    key    TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.key.key') VIRTUAL,
    state  TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.state.is') VIRTUAL,
    at     INTEGER NOT NULL GENERATED ALWAYS AS (doc ->> '$.at') VIRTUAL
) STRICT;

CREATE UNIQUE INDEX idempotency_key ON idempotency (key, route, tenant);
CREATE INDEX idempotency_done ON idempotency (at) WHERE state = 'done';
