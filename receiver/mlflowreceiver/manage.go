package mlflowreceiver

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

var _ control.Manageable = (*Config)(nil)

const uriKey = "tracking_uri"

// Reach implements control.Manageable. It opens nothing: a driver reads files that its URI names.
func (c *Config) Reach() ([]control.Place, error) {
	var places []control.Place
	if c.BaseDir != "" {
		places = append(places, control.Place{Key: "base_dir", Path: c.BaseDir})
	}
	scheme, rest, _ := strings.Cut(c.TrackingURI, ":")
	scheme, _, _ = strings.Cut(scheme, "+")
	switch scheme {
	case "sqlite":
		file, _ := strings.CutPrefix(rest, "///")
		file, _, _ = strings.Cut(file, "?")
		path, err := filepath.Abs(file) // as it is opened
		if err != nil {
			return nil, err
		}
		return append(places, control.Place{Key: uriKey, Path: path}), nil
	case "postgresql", "postgres":
		servers, err := serverPlaces(rest)
		return append(places, servers...), err
	}
	return places, nil // Validate refuses it
}

// serverPlaces are the servers that a PostgreSQL URI leads to, and the files that it names.
func serverPlaces(rest string) ([]control.Place, error) {
	u, err := url.Parse("postgresql:" + rest)
	if err != nil {
		return nil, nil // Validate says so, without the password
	}
	var places []control.Place
	host := func(list string, withPorts bool) {
		for h := range strings.SplitSeq(list, ",") {
			if name, _, err := net.SplitHostPort(h); withPorts && err == nil {
				h = name
			}
			if h == "" || strings.HasPrefix(h, "/") { // libpq's default, or the directory of a socket
				h = "localhost"
			}
			places = append(places, control.Place{Key: uriKey, Host: h})
		}
	}
	query := u.Query()
	host(u.Host, true)
	for _, key := range []string{"host", "hostaddr"} {
		if query.Has(key) {
			host(query.Get(key), false)
		}
	}
	for _, key := range []string{"service", "servicefile"} {
		if query.Has(key) {
			return nil, &control.Refusal{
				Field: uriKey, Problem: fmt.Sprintf("%s leads to what only the configuration of the collector may name; leave it out", key),
			}
		}
	}
	for _, key := range []string{"passfile", "sslcert", "sslkey", "sslrootcert"} {
		if f := query.Get(key); f != "" && f != "system" {
			places = append(places, control.Place{Key: uriKey, Path: f})
		}
	}
	return places, nil
}

// Keep implements control.Manageable.
func (c *Config) Keep(storage component.ID, _ string) { c.StorageID = &storage }
