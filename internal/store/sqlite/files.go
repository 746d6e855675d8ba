package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
)

// ownFiles makes the database, with mode 0600 before SQLite would make it with the umask's, and checks what is there
// already: the database, and what SQLite keeps beside it and would read without a question. Files that others can read
// become private; the journals of SQLite take the mode of the database.
func (s *Store) ownFiles() error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		flag := os.O_RDWR
		if suffix == "" {
			flag |= os.O_CREATE
		}
		f, err := ownfile.Open(s.path+suffix, flag)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if err != nil {
			return fmt.Errorf("database: %w", err)
		}
		had, err := ownfile.Tighten(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("database: %w", err)
		}
		if had != 0 {
			s.log.Warn("A file of the database was open to other users. It is private now.",
				zap.String("path", s.path+suffix), zap.Stringer("mode_before", had))
		}
	}
	return nil
}
