CREATE TABLE audit_events (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    time    TIMESTAMPTZ NOT NULL,
    hash    CHAR(64) NOT NULL UNIQUE
);
