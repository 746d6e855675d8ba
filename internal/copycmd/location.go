package copycmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
	"github.com/otelcol-mida/otelcol-mida/internal/store/elastic"
	"github.com/otelcol-mida/otelcol-mida/internal/store/sqlite"
)

// location is where a view lies: in a database file or in a cluster.
type location struct {
	path    string           // of a file, absolute
	cluster *elastic.Options // of a cluster
}

const wanted = "want the path of a database, sqlite:///path or elasticsearch://host:9200[/prefix]"

// parseLocation reads what an option says. Passwords come from the environment: what stands on a command line can be read
// by everyone on the machine.
func parseLocation(option, text string) (l location, err error) {
	fail := func(format string, args ...any) (location, error) {
		return location{}, fmt.Errorf("--%s: %q: %s; %s", option, redact(text), fmt.Sprintf(format, args...), wanted)
	}
	if text == "" {
		return fail("empty")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		l.path, err = filepath.Abs(text)
		return l, err
	case scheme == "sqlite":
		// As in every other tool: three slashes begin a relative path, four an absolute one.
		path, ok := strings.CutPrefix(rest, "/")
		if !ok || path == "" {
			return fail("not the form of a file")
		}
		l.path, err = filepath.Abs(filepath.FromSlash(path))
		return l, err
	}
	protocol := "http"
	switch scheme {
	case "elasticsearch", "opensearch", "http":
	case "elasticsearch+https", "opensearch+https", "https":
		protocol = "https"
	default:
		return fail("scheme %q is unknown", scheme)
	}
	// Several nodes are host:port,host:port, which is no URL.
	hosts, tail, _ := strings.Cut(rest, "/")
	u, err := url.Parse("/" + tail)
	if err != nil || hosts == "" || strings.ContainsAny(hosts, "?#") {
		return fail("not the form of an address")
	}
	if strings.Contains(hosts, "@") {
		return fail("it holds a user name; set %s and %s", variable(option, "username"), variable(option, "password"))
	}
	o := &elastic.Options{
		IndexPrefix: strings.Trim(u.Path, "/"), Username: os.Getenv(variable(option, "username")),
		Password: os.Getenv(variable(option, "password")), APIKey: os.Getenv(variable(option, "api_key")),
	}
	for _, host := range strings.Split(hosts, ",") {
		o.Endpoints = append(o.Endpoints, protocol+"://"+host)
	}
	if o.TLS, err = tlsOf(u.Query()); err != nil {
		return fail("%v", err)
	}
	if err := o.Validate(); err != nil {
		return fail("%v", err)
	}
	l.cluster = o
	return l, nil
}

func variable(option, what string) string { return strings.ToUpper("MIDA_" + option + "_" + what) }

func redact(text string) string {
	if before, host, ok := strings.Cut(text, "@"); ok {
		scheme, _, _ := strings.Cut(before, "://")
		return scheme + "://…@" + host
	}
	return text
}

// tlsOf reads ?ca_file=… and ?insecure_skip_verify=true.
func tlsOf(q url.Values) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	for key := range q {
		switch v := q.Get(key); {
		case key == "ca_file":
			pem, err := os.ReadFile(v)
			if err != nil {
				return nil, err
			}
			c.RootCAs = x509.NewCertPool()
			if !c.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("ca_file %s holds no certificate", v)
			}
		case key == "insecure_skip_verify" && (v == "true" || v == "false"):
			c.InsecureSkipVerify = v == "true"
		default:
			return nil, fmt.Errorf("%s=%s is unknown; want ca_file=PATH or insecure_skip_verify=true", key, v)
		}
	}
	return c, nil
}

// String names the location, without what is secret.
func (l location) String() string {
	if l.cluster == nil {
		return l.path
	}
	prefix := l.cluster.IndexPrefix
	if prefix == "" {
		prefix = elastic.DefaultPrefix
	}
	endpoints := slices.Sorted(slices.Values(l.cluster.Endpoints))
	return strings.Join(endpoints, ",") + "/" + prefix
}

// source opens a view to read. A database may be open in a collector meanwhile.
func (l location) source(ctx context.Context) (store.Snapshot, func() error, error) {
	var open interface {
		Snapshot(context.Context) (store.Snapshot, error)
	}
	var closing func() error
	if l.cluster == nil {
		r, err := sqlite.OpenReader(ctx, l.path)
		if err != nil {
			return nil, nil, err
		}
		open, closing = r, r.Close
	} else {
		there, err := elastic.Exists(ctx, *l.cluster)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			return nil, nil, fmt.Errorf("there is no view in %s", l)
		}
		s, err := elastic.Open(*l.cluster)
		if err != nil {
			return nil, nil, err
		}
		open, closing = s, func() error { return closeSoon(s) }
	}
	snapshot, err := open.Snapshot(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, closing())
	}
	return snapshot, func() error { return errors.Join(snapshot.Close(), closing()) }, nil
}

// target opens a view to write, made if missing. A database that a collector has open is refused.
func (l location) target(ctx context.Context) (store.Store, error) {
	if l.cluster == nil {
		return sqlite.Open(ctx, sqlite.Options{Path: l.path})
	}
	return elastic.Open(*l.cluster)
}
