package taskquery

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/ownfile"
)

const (
	tokenFile    = "token"
	endpointFile = "endpoint.json"
	tokenBytes   = 32
)

// stateDirectory holds the token and the address by which clients of the same user find the API.
type stateDirectory struct{ path string }

// endpointInfo is the content of endpoint.json.
type endpointInfo struct {
	URL       string `json:"url"`
	TokenFile string `json:"token_file,omitempty"`
	PID       int    `json:"pid"`
}

// openStateDirectory makes the directory or checks the one there is: a real directory of this user, private to it.
func openStateDirectory(path string) (*stateDirectory, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Lstat(abs)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a %s; want a directory, and no symbolic link is followed", abs, ownfile.Kind(info))
	}
	if err := ownfile.CheckOwner(abs, info); err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(abs, 0o700); err != nil {
			return nil, fmt.Errorf("%s is open to others and cannot be made private: %w", abs, err)
		}
	}
	return &stateDirectory{path: abs}, nil
}

func (d *stateDirectory) file(name string) string { return filepath.Join(d.path, name) }

// token reads the token, or makes one.
func (d *stateDirectory) token() (string, error) {
	path := d.file(tokenFile)
	token, err := readPrivate(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case len(token) < tokenBytes:
		return "", fmt.Errorf("%s holds %d characters, too few for a token; remove the file and start again for a new one", path, len(token))
	default:
		return token, nil
	}
	raw := make([]byte, tokenBytes)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	token = base64.RawURLEncoding.EncodeToString(raw)
	return token, d.write(tokenFile, []byte(token+"\n"))
}

// readPrivate reads a small file that is this user's alone.
func readPrivate(path string) (string, error) {
	f, err := ownfile.Open(path, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 && ownfile.ModesMatter {
		return "", fmt.Errorf("%s can be read by others (mode %04o), so its token is no secret; remove the file and start again for a new one",
			path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(data)), err
}

// write replaces a file as a whole; a symbolic link of its name is replaced, not followed.
func (d *stateDirectory) write(name string, data []byte) error {
	f, err := os.CreateTemp(d.path, "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.file(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// announce tells clients where the API is.
func (d *stateDirectory) announce(url string, withToken bool) error {
	info := endpointInfo{URL: url, PID: os.Getpid()}
	if withToken {
		info.TokenFile = d.file(tokenFile)
	}
	data, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return d.write(endpointFile, append(data, '\n'))
}

// retract removes what announce wrote, unless another collector has replaced it since.
func (d *stateDirectory) retract() error {
	data, err := readPrivate(d.file(endpointFile))
	var info endpointInfo
	if err != nil || json.Unmarshal([]byte(data), &info) != nil || info.PID != os.Getpid() {
		return nil
	}
	return os.Remove(d.file(endpointFile))
}
