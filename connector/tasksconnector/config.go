package tasksconnector

import (
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/glob"
)

// Config of the tasks connector. Between a logs and a traces pipeline it makes spans; between a traces and a logs
// pipeline it makes task events. Use two instances for both directions.
type Config struct {
	// DefaultCampaign is the campaign of foreign spans that carry no mida.campaign.id, on the span or its resource.
	DefaultCampaign string `mapstructure:"default_campaign"`

	// SpanKinds lists which foreign spans become tasks: internal, server, client, producer, consumer, unspecified. By
	// default internal and unspecified: a request that a server answered is not a task.
	SpanKinds []string `mapstructure:"span_kinds"`

	// UsedAttributes and GeneratedAttributes say which attributes of foreign spans are what the task used and generated:
	// names, or globs. What stands before the "*" is cut from the name.
	UsedAttributes      []string `mapstructure:"used_attributes"`
	GeneratedAttributes []string `mapstructure:"generated_attributes"`

	// Capture says what of foreign spans is recorded. Secrets are always taken out, and what is too large is cut.
	Capture capture.Config `mapstructure:"capture"`

	// Store names a store of the taskstore extension: spans then also link to the tasks that the view knows as their
	// sources. Empty = the declared edges of the tool only.
	Store string `mapstructure:"store"`

	// Remember is how many spans are remembered, so that an event that comes again sends no second span. At least 1.
	Remember int `mapstructure:"remember"`
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config {
	return &Config{
		SpanKinds:           []string{"internal", "unspecified"},
		UsedAttributes:      []string{"mida.used.*", "gen_ai.request.*"},
		GeneratedAttributes: []string{"mida.generated.*", "gen_ai.response.*", "gen_ai.usage.*"},
		Capture:             capture.NewDefaultConfig(),
		Remember:            100_000,
	}
}

var spanKinds = map[string]ptrace.SpanKind{
	"internal": ptrace.SpanKindInternal, "server": ptrace.SpanKindServer, "client": ptrace.SpanKindClient,
	"producer": ptrace.SpanKindProducer, "consumer": ptrace.SpanKindConsumer, "unspecified": ptrace.SpanKindUnspecified,
}

// Validate names the key, the value and what would be valid.
func (c *Config) Validate() error {
	var errs []error
	for _, k := range c.SpanKinds {
		if _, ok := spanKinds[strings.ToLower(k)]; !ok {
			errs = append(errs, fmt.Errorf(
				"span_kinds: %q is no span kind; want internal, server, client, producer, consumer or unspecified", k))
		}
	}
	for key, patterns := range map[string][]string{
		"used_attributes": c.UsedAttributes, "generated_attributes": c.GeneratedAttributes,
	} {
		for _, p := range patterns {
			if err := glob.Validate(p); err != nil {
				errs = append(errs, fmt.Errorf("%s: %q is no pattern: %w", key, p, err))
			} else if p == "" {
				errs = append(errs, fmt.Errorf(`%s: %q is no pattern; want an attribute name, with "*" for any text`, key, p))
			}
		}
	}
	if c.Remember < 1 {
		errs = append(errs, fmt.Errorf("remember: %d; want at least 1", c.Remember))
	}
	return errors.Join(errs...)
}
