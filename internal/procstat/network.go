package procstat

import (
	"os"
	"path/filepath"
)

// networks knows which interfaces of a host count: what goes through a bond, a bridge or a container's end goes through a device
// as well, and would count twice.
type networks struct {
	sys    string
	real   map[string]bool // what is known of each interface
	device bool            // one of them is a device
}

// counts says whether an interface counts: devices; where there is none, as in a container, all but the host's own loop.
func (n *networks) counts(name string) bool {
	if _, known := n.real[name]; !known {
		n.look(name)
	}
	if n.device {
		return n.real[name]
	}
	return name != "lo"
}

// look finds out what the interfaces are, of which one is new.
func (n *networks) look(name string) {
	n.real, n.device = map[string]bool{name: false}, false
	entries, err := os.ReadDir(filepath.Join(n.sys, "class/net"))
	if err != nil {
		return
	}
	for _, e := range entries {
		_, err := os.Stat(filepath.Join(n.sys, "class/net", e.Name(), "device"))
		n.real[e.Name()] = err == nil
		n.device = n.device || err == nil
	}
}
