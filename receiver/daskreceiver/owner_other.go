//go:build !linux

package daskreceiver

import (
	"fmt"
	"net/netip"
	"runtime"
)

// socketOwner has no way to ask.
func socketOwner(_, _ netip.AddrPort) (int, bool, error) {
	return 0, false, fmt.Errorf("on %s the owner of a socket cannot be told", runtime.GOOS)
}
