//go:build !unix

package upcmd

import (
	"errors"
	"fmt"
)

func whileLocked(path string) error {
	return fmt.Errorf("--while-locked: %s: %w here; start the collector by itself", path, errors.ErrUnsupported)
}
