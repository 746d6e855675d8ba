package daskreceiver

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// socketOwner returns the user of the process on this host that holds the socket from local to remote. found is false
// when no process of this host (and network namespace) does.
func socketOwner(local, remote netip.AddrPort) (uid int, found bool, err error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		uid, found, err = searchSockets(table, normal(local), normal(remote))
		if err != nil || found {
			return uid, found, err
		}
	}
	return 0, false, nil
}

func normal(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func searchSockets(table string, local, remote netip.AddrPort) (int, bool, error) {
	f, err := os.Open(table)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil // no IPv6
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan() // the head
	for lines.Scan() {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		l, err := parseSocketAddress(fields[1])
		if err != nil {
			return 0, false, fmt.Errorf("%s: %w", table, err)
		}
		r, err := parseSocketAddress(fields[2])
		if err != nil {
			return 0, false, fmt.Errorf("%s: %w", table, err)
		}
		if l != local || r != remote || fields[9] == "0" { // without an inode no process has accepted it
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil, err
	}
	return 0, false, lines.Err()
}

// parseSocketAddress reads the kernel's notation: 32-bit words in the order of this machine, each in hex.
func parseSocketAddress(s string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || (len(raw) != 4 && len(raw) != 16) {
		return netip.AddrPort{}, fmt.Errorf("address %q is not as expected", s)
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q is not as expected", s)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return normal(netip.AddrPortFrom(addr, uint16(n))), nil
}
