package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// schemaVersion is the version this code writes (PRAGMA user_version). migrations[i] leads from version i to i+1.
const schemaVersion = 2

// applicationID marks the file as ours (PRAGMA application_id): "mida".
const applicationID = 0x6d696461

var migrations = [schemaVersion]string{schema1, schema2}

const schema1 = `
CREATE TABLE tasks (
  n                  INTEGER PRIMARY KEY,
  id                 TEXT NOT NULL,
  task_id            TEXT NOT NULL,
  kind               TEXT NOT NULL,
  status             TEXT NOT NULL,
  campaign_id        TEXT,
  workflow_id        TEXT,
  workflow_name      TEXT,
  activity_id        TEXT,
  attempt            INTEGER,
  submitted_at       INTEGER,
  started_at         INTEGER,
  ended_at           INTEGER,
  host               TEXT,
  user               TEXT,
  site               TEXT,
  environment        TEXT,
  scope              TEXT,
  execution          TEXT,
  workflow_parent_id TEXT,
  parent             TEXT
);
CREATE UNIQUE INDEX tasks_id ON tasks (id);
CREATE INDEX tasks_campaign ON tasks (campaign_id, workflow_id, status, kind, workflow_name, workflow_parent_id,
  submitted_at, started_at, ended_at); -- holds all that the lists of campaigns and workflows need

CREATE TABLE leaves (
  n         INTEGER PRIMARY KEY,
  main      BLOB NOT NULL,
  extra     BLOB NOT NULL,
  ambiguous TEXT
);
CREATE INDEX leaves_ambiguous ON leaves (n) WHERE ambiguous IS NOT NULL;

CREATE TABLE states (
  n     INTEGER PRIMARY KEY,
  state BLOB NOT NULL
);

CREATE TABLE edges (
  n         INTEGER NOT NULL,
  target    TEXT NOT NULL,
  is_parent INTEGER NOT NULL,
  field     TEXT NOT NULL
);
CREATE INDEX edges_n ON edges (n);
CREATE INDEX edges_target ON edges (target);

CREATE TABLE claims (
  n           INTEGER,
  task        TEXT,
  role        TEXT NOT NULL,
  entity      TEXT NOT NULL,
  time        INTEGER NOT NULL,
  time_source TEXT NOT NULL,
  evidence    TEXT NOT NULL,
  confidence  REAL NOT NULL,
  field       TEXT NOT NULL,
  label       TEXT NOT NULL
);
CREATE INDEX claims_n ON claims (n) WHERE n IS NOT NULL;
CREATE INDEX claims_task ON claims (task) WHERE task IS NOT NULL;
CREATE INDEX claims_entity ON claims (entity, role);

CREATE TABLE environments (
  n      INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  time   INTEGER NOT NULL,
  record TEXT NOT NULL,
  leaves BLOB NOT NULL
);

CREATE TABLE workflows (
  n           INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  campaign_id TEXT NOT NULL,
  name        TEXT NOT NULL,
  parent_id   TEXT NOT NULL,
  kind        TEXT NOT NULL,
  first_at    INTEGER NOT NULL,
  last_at     INTEGER NOT NULL,
  state       BLOB NOT NULL
);

CREATE TABLE entities (
  n      INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  time   INTEGER NOT NULL,
  record TEXT NOT NULL
);

CREATE TABLE observers (
  n        INTEGER PRIMARY KEY,
  observer TEXT NOT NULL,
  campaign TEXT NOT NULL,
  at       INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  dropped  TEXT NOT NULL,
  final    INTEGER NOT NULL,
  host     TEXT NOT NULL,
  UNIQUE (observer, campaign)
);

CREATE TABLE seqs (
  observer INTEGER NOT NULL,
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  PRIMARY KEY (observer, first)
) WITHOUT ROWID;
`

// schema2 keeps what else a checkpoint says, and counts what witnesses are compared with.
const schema2 = `
ALTER TABLE observers ADD COLUMN record TEXT NOT NULL DEFAULT '{}';
ALTER TABLE observers ADD COLUMN finished INTEGER NOT NULL DEFAULT 0;
`

// readable returns the version of a schema, and refuses what a newer collector or another program wrote.
func readable(ctx context.Context, conn *sql.Conn, path string) (version int, err error) {
	var app int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("%s is not a readable SQLite database: %w", path, err)
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return 0, err
	}
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, fmt.Errorf("%s is not a readable SQLite database: %w", path, err)
	}
	switch {
	case app != applicationID && (tables > 0 || version > 0):
		return 0, fmt.Errorf("%s is a SQLite database of another program (application_id %#x); choose another path", path, app)
	case version > schemaVersion:
		return 0, fmt.Errorf("%s has schema_version %d, written by a newer collector; this one knows up to %d: "+
			"use the newer collector, or another path", path, version, schemaVersion)
	}
	return version, nil
}

// migrate brings the schema to schemaVersion, one transaction a step.
func migrate(ctx context.Context, conn *sql.Conn, path string) error {
	version, err := readable(ctx, conn, path)
	if err != nil {
		return err
	}
	for v := version; v < schemaVersion; v++ {
		step := fmt.Sprintf("BEGIN IMMEDIATE;%s;PRAGMA application_id = %d;PRAGMA user_version = %d;COMMIT;",
			migrations[v], applicationID, v+1)
		if _, err := conn.ExecContext(ctx, step); err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK") // no transaction is left open if the step failed before BEGIN
			return fmt.Errorf("%s: migration from schema_version %d to %d: %w", path, v, v+1, err)
		}
	}
	return nil
}
