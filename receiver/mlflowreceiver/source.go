package mlflowreceiver

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

const wantURI = "want sqlite:///mlflow.db (relative), sqlite:////path/to/mlflow.db (absolute) or postgresql://user@host:5432/database"

// source is the database that the configuration names; nothing is opened yet.
func (c *Config) source() (dialect, error) {
	scheme, rest, ok := strings.Cut(c.TrackingURI, ":")
	scheme, _, _ = strings.Cut(scheme, "+") // SQLAlchemy's driver
	switch {
	case c.TrackingURI == "":
		return nil, errors.New("tracking_uri: empty; " + wantURI)
	case ok && (scheme == "postgresql" || scheme == "postgres"):
		return newPostgres(c, rest)
	case ok && (scheme == "http" || scheme == "https"):
		return nil, fmt.Errorf("tracking_uri: %q: %s", redactText(c.TrackingURI), serverHint(c.TrackingURI))
	case ok && scheme != "sqlite" && len(scheme) > 1:
		return nil, fmt.Errorf("tracking_uri: scheme %q of %q is not supported: SQLite and PostgreSQL databases are; %s", scheme, redactText(c.TrackingURI), wantURI)
	case !ok || scheme != "sqlite":
		return nil, fmt.Errorf("tracking_uri: %q is a directory or a file name, and MLflow's file store is not supported: SQLite and PostgreSQL databases are; %s", redactText(c.TrackingURI), wantURI)
	case c.Password != "":
		return nil, errors.New("password: an SQLite database has none; leave it out, or name a PostgreSQL server in tracking_uri")
	}
	file, ok := strings.CutPrefix(rest, "///")
	file, _, _ = strings.Cut(file, "?")
	if !ok || strings.Trim(file, "/") == "" || file == ":memory:" {
		return nil, fmt.Errorf("tracking_uri: %q names no file; %s", c.TrackingURI, wantURI)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("tracking_uri: %w", err)
	}
	return &sqliteFile{path: path, busy: c.BusyTimeout}, nil
}

// runsAreLocal says whether paths in runs mean files of this machine. Many machines log to a server.
func (c *Config) runsAreLocal() bool {
	if c.RunsAreLocal != nil {
		return *c.RunsAreLocal
	}
	return strings.HasPrefix(c.TrackingURI, "sqlite")
}
