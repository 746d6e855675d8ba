package taskstoreexporter

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func load(t *testing.T, m map[string]any) error {
	cfg := createDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(m).Unmarshal(cfg))
	return confmap.Validate(cfg)
}

func TestDefaultsKeepTheAcknowledgement(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	q := cfg.QueueConfig.Get()
	require.True(t, q.WaitForResult)
	require.True(t, q.BlockOnOverflow)
	require.True(t, cfg.BackOffConfig.Enabled)
	require.Zero(t, cfg.BackOffConfig.MaxElapsedTime)
	require.NoError(t, load(t, map[string]any{"store": "main"}))
	require.NoError(t, load(t, map[string]any{"store": "main", "sending_queue": map[string]any{"enabled": false}}))
	require.NoError(t, load(t, map[string]any{"store": "main", "sending_queue": map[string]any{"num_consumers": 4}}))
	require.NoError(t, load(t, map[string]any{"store": "main", "max_events": 1}))
}

func TestBounds(t *testing.T) {
	for _, n := range []int{-1, 0, mostMaxEvents + 1} {
		require.ErrorContains(t, load(t, map[string]any{"store": "main", "max_events": n}), fmt.Sprintf("max_events: %d; want 1 to 10000000", n))
	}
}

func TestValidate(t *testing.T) {
	queue := func(m map[string]any) map[string]any { return map[string]any{"store": "main", "sending_queue": m} }
	retry := func(m map[string]any) map[string]any { return map[string]any{"store": "main", "retry_on_failure": m} }
	for _, tc := range []struct {
		config map[string]any
		want   string
	}{
		{map[string]any{}, "store: empty; want the name of a store"},
		{queue(map[string]any{"wait_for_result": false}), "sending_queue::wait_for_result: false"},
		{queue(map[string]any{"block_on_overflow": false}), "sending_queue::block_on_overflow: false"},
		{queue(map[string]any{"wait_for_result": false, "storage": "file_storage"}), `sending_queue::storage: "file_storage"`},
		{retry(map[string]any{"enabled": false}), "retry_on_failure::enabled: false"},
		{retry(map[string]any{"max_elapsed_time": "5m"}), "retry_on_failure::max_elapsed_time: 5m0s"},
	} {
		err := load(t, tc.config)
		require.ErrorContains(t, err, tc.want)
		if tc.config["store"] != nil {
			require.ErrorContains(t, err, "allow_data_loss")
			tc.config["allow_data_loss"] = true
			require.NoError(t, load(t, tc.config))
		}
	}
}
