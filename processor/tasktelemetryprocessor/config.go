package tasktelemetryprocessor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config of the task telemetry processor.
type Config struct {
	// MinInterval and MaxInterval bound the time between two samples of a process. In between it follows how long tasks
	// last: about twenty samples a task.
	MinInterval time.Duration `mapstructure:"min_interval"`
	MaxInterval time.Duration `mapstructure:"max_interval"`

	// MaxCPU is the share of one core that sampling may use; beyond it samples become rarer, up to MaxInterval.
	MaxCPU float64 `mapstructure:"max_cpu"`

	// History is how many samples are kept of a process, for records that arrive late. Tasks that are known to run are
	// followed beyond it.
	History int `mapstructure:"history"`

	// Host adds the host's CPU, memory, disks and network to each task, under system.*, as what they are: the host's.
	Host bool `mapstructure:"host"`

	// GPU says how GPUs are read.
	GPU GPUConfig `mapstructure:"gpu"`

	// EnergyCommand is a program that prints how many joules this host used so far, for where its processors do not tell.
	EnergyCommand []string `mapstructure:"energy_command"`

	// CarbonIntensity is how much CO2e a kilowatt-hour stands for here, in grams; 0 = not known.
	CarbonIntensity float64 `mapstructure:"carbon_intensity"`

	// ProcPath and SysPath are where the host's /proc and /sys are mounted.
	ProcPath string `mapstructure:"proc_path"`
	SysPath  string `mapstructure:"sys_path"`
}

// GPUConfig says how GPUs are read.
type GPUConfig struct {
	// Interval is the time between two samples; 0 switches them off.
	Interval time.Duration `mapstructure:"interval"`

	// NvidiaSMI is the program that is asked where the binary cannot ask the driver; empty for none.
	NvidiaSMI string `mapstructure:"nvidia_smi"`
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config {
	return &Config{
		MinInterval: 20 * time.Millisecond, MaxInterval: time.Second, MaxCPU: 0.005, History: 1024, Host: true,
		GPU:      GPUConfig{Interval: time.Second, NvidiaSMI: "nvidia-smi"},
		ProcPath: "/proc", SysPath: "/sys",
	}
}

// Validate names the key, the value and what would be valid.
func (c *Config) Validate() error {
	var errs []error
	if c.MinInterval < time.Millisecond {
		errs = append(errs, fmt.Errorf("min_interval: %v; want at least 1ms", c.MinInterval))
	}
	if c.MaxInterval < c.MinInterval || c.MaxInterval > time.Minute {
		errs = append(errs, fmt.Errorf("max_interval: %v; want between min_interval (%v) and 1m", c.MaxInterval, c.MinInterval))
	}
	if c.MaxCPU <= 0 || c.MaxCPU > 1 {
		errs = append(errs, fmt.Errorf("max_cpu: %v; want a share of one core above 0, up to 1, such as 0.005", c.MaxCPU))
	}
	if c.History < 16 || c.History > 1<<20 {
		errs = append(errs, fmt.Errorf("history: %d; want between 16 and %d samples", c.History, 1<<20))
	}
	if c.GPU.Interval != 0 && (c.GPU.Interval < 100*time.Millisecond || c.GPU.Interval > time.Minute) {
		errs = append(errs, fmt.Errorf("gpu::interval: %v; want between 100ms and 1m, or 0 for no GPUs", c.GPU.Interval))
	}
	if len(c.EnergyCommand) > 0 && c.EnergyCommand[0] == "" {
		errs = append(errs, errors.New("energy_command: the program has no name; want a list such as [/usr/local/bin/node-joules]"))
	}
	if c.CarbonIntensity < 0 || c.CarbonIntensity > 5000 || math.IsNaN(c.CarbonIntensity) {
		errs = append(errs, fmt.Errorf("carbon_intensity: %v; want grams of CO2e per kWh between 0 and 5000, such as 250", c.CarbonIntensity))
	}
	if c.ProcPath == "" {
		errs = append(errs, errors.New(`proc_path: empty; want a directory such as "/proc"`))
	}
	if c.SysPath == "" {
		errs = append(errs, errors.New(`sys_path: empty; want a directory such as "/sys"`))
	}
	return errors.Join(errs...)
}
