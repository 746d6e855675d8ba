package managedreceiver

import (
	"errors"

	"go.opentelemetry.io/collector/component"
)

// Config of the managed receiver.
type Config struct {
	// Controller is the extension whose observers run in the pipelines of this receiver.
	Controller component.ID `mapstructure:"controller"`
	// prevent unkeyed literal initialization
	_ struct{}
}

var controllerType = component.MustNewType("taskcontroller")

func createDefaultConfig() component.Config {
	return &Config{Controller: component.NewID(controllerType)}
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	if c.Controller.Type() != controllerType {
		return errors.New("controller: " + c.Controller.String() + " is no taskcontroller; want the name of one, such as taskcontroller")
	}
	return nil
}
