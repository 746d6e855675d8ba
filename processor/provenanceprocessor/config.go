package provenanceprocessor

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-mida/otelcol-mida/internal/glob"
)

// Config of the provenance processor.
type Config struct {
	// Site names the place whose hosts, paths and servers are one name space: it is part of every entity that is only
	// known locally. Empty, the default: the Slurm cluster (SLURM_CLUSTER_NAME), else the DNS domain of this host, else none. What a
	// record's resource says (mida.site) wins.
	Site string `mapstructure:"site"`

	// Ignore lists fields that never identify anything, as globs over the full name, such as
	// "used.cache_dir" or "used.options.*".
	Ignore []string `mapstructure:"ignore"`

	// Values are rules by which equal values are one thing: a sample number, a proposal. Without a rule, values never
	// link.
	Values []ValueRule `mapstructure:"values"`
}

// ValueRule says that equal values of the given fields mean one thing.
type ValueRule struct {
	// Name of the thing; part of its identity.
	Name string `mapstructure:"name"`
	// Fields are globs over the full name, such as "used.sample_id" or "generated.*.sample".
	Fields []string `mapstructure:"fields"`
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config { return &Config{} }

func defaultSite() string {
	if s := os.Getenv("SLURM_CLUSTER_NAME"); s != "" {
		return s
	}
	if host, err := os.Hostname(); err == nil {
		if _, domain, ok := strings.Cut(host, "."); ok {
			return domain
		}
	}
	return ""
}

// Validate names the key, the value and what would be valid.
func (c *Config) Validate() error {
	var errs []error
	if strings.ContainsAny(c.Site, " \t\n/") {
		errs = append(errs, fmt.Errorf(`site: %q; want a name without spaces and "/", such as "my.site"`, c.Site))
	}
	errs = append(errs, validPatterns("ignore", c.Ignore))
	names := map[string]bool{}
	for i, r := range c.Values {
		key := fmt.Sprintf("values[%d]", i)
		if r.Name == "" {
			errs = append(errs, fmt.Errorf(`%s.name: empty; want the name of what the values identify, such as "sample"`, key))
		}
		if names[r.Name] {
			errs = append(errs, fmt.Errorf("%s.name: %q is used twice; list the fields of one thing in one rule", key, r.Name))
		}
		names[r.Name] = true
		if len(r.Fields) == 0 {
			errs = append(errs, fmt.Errorf(`%s.fields: empty; want fields such as "used.sample_id"`, key))
		}
		errs = append(errs, validPatterns(key+".fields", r.Fields))
	}
	return errors.Join(errs...)
}

func validPatterns(key string, patterns []string) error {
	for _, p := range patterns {
		if err := glob.Validate(p); err != nil {
			return fmt.Errorf(`%s: %q is no pattern: %w`, key, p, err)
		}
		if !strings.HasPrefix(p, "used.") && !strings.HasPrefix(p, "generated.") && !strings.HasPrefix(p, "*") {
			return fmt.Errorf(`%s: %q; want a name that begins with "used.", "generated." or "*"`, key, p)
		}
	}
	return nil
}
