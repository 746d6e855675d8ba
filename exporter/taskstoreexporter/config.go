package taskstoreexporter

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Config of the taskstore exporter.
type Config struct {
	// Store is the name of a store of the taskstore extension.
	Store string `mapstructure:"store"`
	// QueueConfig is the queue in front of the store. Its defaults keep the acknowledgement: a sender hears nil only after
	// the commit (wait_for_result), and waits when the queue is full (block_on_overflow). Requests that come while the store
	// writes others go together in its next write; num_consumers bounds how many do.
	QueueConfig configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	// MaxEvents bounds the events that are made ready for the store and written at a time, over all requests; further
	// requests wait. A larger request goes alone.
	MaxEvents int64 `mapstructure:"max_events"`
	// BackOffConfig says how a failed write is tried again: for ever by default (max_elapsed_time: 0).
	BackOffConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
	// AllowDataLoss permits settings of the queue and the retries with which a sender hears nil before the commit, or
	// events are dropped. Senders whose sources are durable (all receivers of this project) rely on the acknowledgement.
	AllowDataLoss bool `mapstructure:"allow_data_loss"`
	// prevent unkeyed literal initialization
	_ struct{}
}

const (
	// Many small requests make one large write only if many are let through at a time; of large ones, max_events lets
	// through fewer.
	defaultConsumers    = 256
	defaultMaxEvents    = 100_000
	mostMaxEvents       = 10_000_000
	defaultInitialRetry = 200 * time.Millisecond
	defaultMaxRetry     = 5 * time.Second
)

func createDefaultConfig() component.Config {
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.WaitForResult = true
	queue.BlockOnOverflow = true
	queue.NumConsumers = defaultConsumers
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval, retry.MaxInterval, retry.MaxElapsedTime = defaultInitialRetry, defaultMaxRetry, 0
	return &Config{QueueConfig: configoptional.Some(queue), MaxEvents: defaultMaxEvents, BackOffConfig: retry}
}

// Validate refuses what breaks the acknowledgement unless that is asked for.
func (c *Config) Validate() error {
	var errs []error
	if c.Store == "" {
		errs = append(errs, errors.New("store: empty; want the name of a store of the taskstore extension, such as main"))
	}
	if c.MaxEvents < 1 || c.MaxEvents > mostMaxEvents {
		errs = append(errs, fmt.Errorf("max_events: %d; want 1 to %d", c.MaxEvents, mostMaxEvents))
	}
	if !c.AllowDataLoss {
		errs = append(errs, c.checkAcknowledgement())
	}
	return errors.Join(errs...)
}

func (c *Config) checkAcknowledgement() error {
	const remedy = "or set allow_data_loss: true to accept that"
	var errs []error
	// Without a queue the sender's own call writes and waits, which keeps the acknowledgement.
	if c.QueueConfig.HasValue() {
		q := c.QueueConfig.Get()
		switch {
		case q.StorageID != nil:
			errs = append(errs, fmt.Errorf("sending_queue::storage: %q; a sender would hear nil before the commit; "+
				"leave it out (sources are durable), %s", q.StorageID, remedy))
		case !q.WaitForResult:
			errs = append(errs, fmt.Errorf("sending_queue::wait_for_result: false; a sender would hear nil before the commit; want true, %s", remedy))
		}
		if !q.BlockOnOverflow {
			errs = append(errs, fmt.Errorf("sending_queue::block_on_overflow: false; a full queue would refuse events; want true, %s", remedy))
		}
	}
	if !c.BackOffConfig.Enabled {
		errs = append(errs, fmt.Errorf("retry_on_failure::enabled: false; a failed write would not be tried again; want true, %s", remedy))
	} else if c.BackOffConfig.MaxElapsedTime != 0 {
		errs = append(errs, fmt.Errorf("retry_on_failure::max_elapsed_time: %s; events would be dropped after it; want 0 (for ever), %s",
			c.BackOffConfig.MaxElapsedTime, remedy))
	}
	return errors.Join(errs...)
}
