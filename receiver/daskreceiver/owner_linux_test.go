package daskreceiver

import (
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestOwnerOfAConnection asks for real sockets, on both address families, of this user and of another one.
func TestOwnerOfAConnection(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		t.Run(network, func(t *testing.T) {
			l, err := net.Listen(network, "localhost:0")
			if err != nil {
				t.Skipf("no %s here: %v", network, err)
			}
			defer l.Close()
			ask := func(user int) error {
				accepted := make(chan net.Conn)
				go func() {
					if user != os.Geteuid() {
						// The kernel gives a socket to the user that its thread acts for; the thread ends with the goroutine.
						runtime.LockOSThread()
						_ = unix.Setfsuid(user)
					}
					c, _ := l.Accept()
					accepted <- c
				}()
				c, err := net.Dial(network, l.Addr().String())
				require.NoError(t, err)
				defer c.Close()
				other := <-accepted
				require.NotNil(t, other)
				defer other.Close()
				return checkPeer(newComm(c))
			}
			require.NoError(t, ask(os.Geteuid()))
			if os.Geteuid() != 0 {
				return // only root can act for another user
			}
			err = ask(65534)
			var foreign *foreignError
			require.ErrorAs(t, err, &foreign)
			assert.Contains(t, err.Error(), "the scheduler belongs to user 65534, this collector runs as user 0; set allow_foreign_owner: true")
		})
	}
}
