package mlflowreceiver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// statementFor bounds a query: the longest is the history of a run with millions of points.
	statementFor = 30 * time.Second
	// serverFor bounds a transaction when the server, or the way to it, says nothing any more.
	serverFor = 2 * statementFor
	dialFor   = 10 * time.Second
	// oldest is the first version with snapshots of 64 bits; from 14 on the end of a table is found without reading the rest.
	oldest = 130000
)

// postgres is a database on a server.
type postgres struct {
	settings *Config
	conn     *pgx.ConnConfig
	label    string

	identity string // of the database behind the open connection: a restored or promoted one has another
	heaps    map[string]*heap
	unseen   unseen    // by snapshots from the last question on
	next     uint64    // of the last snapshot: the first transaction that it does not know
	stepped  time.Time // when a pass last went on
	hurried  time.Time // when passes began to hurry, zero when they do not
	calm     time.Time // none hurries before
	left     int64     // runs of the first reading, roughly
}

// newPostgres takes what follows the scheme of a URI. What it says never holds a password.
func newPostgres(c *Config, rest string) (*postgres, error) {
	u, err := url.Parse("postgresql:" + rest)
	if err != nil || !strings.HasPrefix(rest, "//") {
		return nil, errors.New("tracking_uri: this is no URI of a PostgreSQL database (special characters in a password are written " +
			"as %40 for @ and so on, or the key password holds it); " + wantURI)
	}
	query := u.Query()
	for key := range query { // those of libpq that have no meaning here, which a server would refuse
		if strings.HasPrefix(key, "keepalives") || strings.HasPrefix(key, "gss") || key == "client_encoding" {
			query.Del(key)
		}
	}
	u.RawQuery = query.Encode()
	conn, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("tracking_uri: %s; %s", redactText(err.Error()), wantURI)
	}
	if strings.Trim(u.Path, "/") == "" && query.Get("dbname") == "" {
		return nil, fmt.Errorf("tracking_uri: names no database; %s", wantURI)
	}
	if c.Password != "" {
		conn.Password = string(c.Password)
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = dialFor
	}
	for key, value := range map[string]string{
		"application_name":                    "otelcol-mida",
		"default_transaction_read_only":       "on",
		"statement_timeout":                   millis(statementFor),
		"lock_timeout":                        millis(c.BusyTimeout),
		"idle_in_transaction_session_timeout": millis(serverFor),
		"jit":                                 "off", // the queries are short
	} {
		if _, own := conn.RuntimeParams[key]; !own || key == "default_transaction_read_only" {
			conn.RuntimeParams[key] = value
		}
	}
	return &postgres{
		settings: c, conn: conn, heaps: map[string]*heap{},
		label: fmt.Sprintf("postgresql://%s@%s/%s", conn.User, net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port))), conn.Database),
	}, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func (p *postgres) name() string { return p.label }

func (p *postgres) local() string { return "" }

func (p *postgres) open(context.Context) (*sql.DB, error) {
	p.identity, p.unseen = "", unseen{}
	return stdlib.OpenDB(*p.conn), nil
}

// current has nothing to look at: tails compares what it reads with what it knows.
func (p *postgres) current(context.Context, *database) error { return nil }

// version is exact: two equal snapshots see the same rows. A standby's does not list what is under way; there the
// position of its recovery stands for it.
func (p *postgres) version(ctx context.Context, d *database) (string, error) {
	var v string
	err := d.one(ctx, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text ELSE pg_current_snapshot()::text END", &v)
	return v, err
}

func (p *postgres) cookie(ctx context.Context, d *database) (string, error) {
	var v sql.NullString
	err := d.one(ctx, "SELECT md5(string_agg(c.oid || '/' || a.attnum || '/' || a.attname, ',' ORDER BY c.oid, a.attnum))"+fromColumns, &v)
	return v.String, err
}

func (p *postgres) columns() string { return "SELECT c.relname::text, a.attname::text" + fromColumns }

// fromColumns are those of the tables that are read, where the search path finds them.
var fromColumns = ` FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
	WHERE c.relname IN ('` + strings.Join(append([]string{"inputs", "input_tags", "datasets", "logged_models", "model_versions", "registered_model_aliases"}, needed...), "', '") + `')
	AND c.relkind IN ('r', 'p', 'v', 'm') AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped`

func (p *postgres) begin() string { return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }

// placeholders counts them; none of our queries has a ? in a text.
func (p *postgres) placeholders(query string) string {
	var b strings.Builder
	b.Grow(len(query) + 16)
	for n := 1; ; n++ {
		before, rest, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		query = rest
	}
}

func (p *postgres) atMost() time.Duration { return serverFor }

// identify finds out which database this is. A provider may forbid the functions; then only its transaction numbers tell.
func (p *postgres) identify(ctx context.Context, d *database) error {
	var version int
	if err := d.one(ctx, "SELECT current_setting('server_version_num')::int", &version); err != nil {
		return err
	}
	if version < oldest {
		return fmt.Errorf("the server is PostgreSQL %d; want 13 or newer, 14 or newer for large databases", version/10000)
	}
	var id string
	err := d.one(ctx, "SELECT s.system_identifier || '/' || c.timeline_id FROM pg_control_system() AS s, pg_control_checkpoint() AS c", &id)
	if err != nil && !errors.Is(err, errDenied) {
		return err
	}
	p.identity = "/" + id
	return nil
}

// classify goes by the code that the server gave; what came without one is trouble on the way to it.
func (p *postgres) classify(err error) error {
	for _, known := range []error{errAbsent, errNotMLflow, errLocked, errUnreachable, errDenied} {
		if err == nil || errors.Is(err, known) {
			return err
		}
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

func kindOf(err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		var ce *pgconn.ConnectError
		var ne net.Error
		if errors.As(err, &ce) || errors.As(err, &ne) || pgconn.Timeout(err) ||
			errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
			return errUnreachable
		}
		return nil
	}
	switch pe.Code {
	case "28P01", "28000", "42501": // password, authorization, privilege
		return errDenied
	case "3D000": // no such database
		return errAbsent
	case "57014", "55P03", "40001", "40P01", "25P03": // timeouts and cancellations
		return errLocked
	case "57P01", "57P02", "57P03", "57P05", "53300": // going down, starting, all connections taken
		return errUnreachable
	}
	if strings.HasPrefix(pe.Code, "08") {
		return errUnreachable
	}
	return nil
}
