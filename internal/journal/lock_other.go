//go:build !unix

package journal

import (
	"errors"
	"os"
)

// Without POSIX locks every writer follows the rule of the writer that cannot lock.
func locked(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func lock(*os.File) error { return errors.ErrUnsupported }
