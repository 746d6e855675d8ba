package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
	"github.com/otelcol-mida/otelcol-mida/internal/glob"
)

// Bounds of one reader, and so of one report.
const (
	maxFiles        = 2000
	maxDigest       = 64 << 20  // of one file
	maxDigests      = 512 << 20 // of all
	maxPicture      = 4 << 20
	maxPictures     = 24 << 20
	maxPixels       = 16 << 20
	maxHeader       = 16 << 20 // what is read of a file to describe it
	maxWholeFile    = 64 << 20 // of formats whose description is spread over the file
	maxDescriptions = 256 << 20
)

// Key is the configuration key that allows directories; reasons name it.
const Key = "extensions::taskquery::report::read_files"

// ErrNothingAllowed says that the operator allows no files.
var ErrNothingAllowed = errors.New("no file may be read: " + Key + " allows none")

// Place is one entry of the configuration: a directory, and a pattern for what is below it ("" = all).
type Place struct{ Dir, Pattern string }

// ParsePlace reads an entry: a directory, or one with a pattern behind it ("results/*.png", where * takes slashes too).
func ParsePlace(entry string) (Place, error) {
	if strings.TrimSpace(entry) == "" {
		return Place{}, errors.New("empty; want a directory, such as . or ./results, or a pattern, such as results/*.png")
	}
	slashed := filepath.ToSlash(entry)
	at := strings.IndexAny(slashed, "*?[")
	if at < 0 {
		return Place{Dir: entry}, nil
	}
	if err := glob.Validate(entry); err != nil {
		return Place{}, err
	}
	dir := "."
	if cut := strings.LastIndexByte(slashed[:at], '/'); cut >= 0 {
		dir, slashed = slashed[:cut+1], slashed[cut+1:]
	}
	return Place{Dir: filepath.FromSlash(dir), Pattern: slashed}, nil
}

// Named is a file as lineage knows it.
type Named struct {
	Entity string
	Label  string // as a task named it
	Cwd    string // where that task ran
}

// File is an open file of this machine.
type File struct {
	*os.File
	Path    string
	Size    int64
	ModTime time.Time
}

// Reader opens files. It is for one report: its bounds are counted down.
type Reader struct {
	places   []openPlace
	never    []string
	refused  error // why there are no places
	resolver *entity.Resolver
	host     string

	files                           int
	digests, pictures, descriptions int64
}

type openPlace struct {
	dir, pattern string
	root         *os.Root
}

// NewReader opens the allowed places; what is below one of never is read in no case. Close it.
func NewReader(allow []Place, never ...string) *Reader {
	r := &Reader{
		resolver: entity.NewResolver(), files: maxFiles, digests: maxDigests, pictures: maxPictures, descriptions: maxDescriptions,
		refused: ErrNothingAllowed,
	}
	r.host, _ = os.Hostname()
	for _, dir := range never {
		if real, err := realDir(dir); err == nil {
			r.never = append(r.never, real)
		}
	}
	for _, p := range allow {
		real, err := realDir(p.Dir)
		if err == nil {
			var root *os.Root
			if root, err = os.OpenRoot(real); err == nil {
				r.places = append(r.places, openPlace{dir: real, pattern: p.Pattern, root: root})
			}
		}
		if err != nil {
			r.refused = fmt.Errorf("no file may be read: %s: %w", Key, err)
		}
	}
	return r
}

func realDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// Close gives the directories back.
func (r *Reader) Close() error {
	var errs []error
	for _, p := range r.places {
		errs = append(errs, p.root.Close())
	}
	return errors.Join(errs...)
}

// Open opens the file if it is the one that lineage means, and if it may be read. The error is a reason for people.
func (r *Reader) Open(ctx context.Context, n Named) (*File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(n.Entity, "file:") {
		return nil, errors.New("it is no file of this machine")
	}
	if len(r.places) == 0 {
		return nil, r.refused
	}
	if r.files <= 0 {
		return nil, fmt.Errorf("not read: one report opens %d files", maxFiles)
	}
	r.files--
	path, err := r.locate(n)
	if err != nil {
		return nil, err
	}
	for _, dir := range r.never {
		if _, in := below(path, dir); in {
			return nil, errors.New("it is of the collector's own state, which is never shown")
		}
	}
	for _, p := range r.places {
		rel, in := below(path, p.dir)
		if !in || p.pattern != "" && !glob.Match(p.pattern, filepath.ToSlash(rel)) {
			continue
		}
		return p.open(rel, path)
	}
	return nil, fmt.Errorf("it may not be read: %s does not allow its directory", Key)
}

func (p openPlace) open(rel, path string) (*File, error) {
	// A fifo would wait for its writer: not opened, and if it came in between, not waited for.
	info, err := p.root.Lstat(rel)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	var f *os.File
	if err == nil {
		f, err = p.root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("it is not there any more")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("the collector may not read it")
	case err != nil:
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.New("it is no regular file")
	}
	return &File{File: f, Path: path, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// locate finds where the entity lies on this machine: a path whose identity is the entity's. A path of another machine, or
// one that leads elsewhere by now, is not opened.
func (r *Reader) locate(n Named) (string, error) {
	rest := strings.TrimPrefix(n.Entity, "file:")
	at := strings.Index(rest, ":/")
	if at < 0 {
		return "", errors.New("its identity has no path")
	}
	candidates := []string{rest[at+1:]}
	switch {
	case n.Label == "":
	case filepath.IsAbs(n.Label):
		candidates = append(candidates, n.Label)
	case filepath.IsAbs(n.Cwd):
		candidates = append(candidates, filepath.Join(n.Cwd, n.Label))
	}
	where := entity.Where{Host: r.host}
	for _, c := range candidates {
		info, err := r.resolver.Resolve(filepath.FromSlash(c), "")
		if err != nil {
			continue
		}
		if e, ok := entity.Canonical("", info.Real, &info, where); ok && (e.ID == n.Entity || e.ID == withoutSite(n.Entity)) {
			return filepath.FromSlash(info.Real), nil
		}
	}
	if place := rest[:at]; place != strings.ToLower(r.host) && !strings.HasSuffix(place, "/"+strings.ToLower(r.host)) {
		return "", fmt.Errorf("it lies on %s, and this is %s", place, r.host)
	}
	return "", errors.New("its path leads elsewhere by now")
}

// withoutSite takes the site out of a file's identity: this collector need not know how others named it.
func withoutSite(id string) string {
	rest := strings.TrimPrefix(id, "file:")
	slash := strings.IndexByte(rest, '/')
	if end := strings.Index(rest, ":/"); slash < 0 || end < slash {
		return id
	}
	return "file:" + rest[slash+1:]
}

func below(path, dir string) (rel string, ok bool) {
	rel, err := filepath.Rel(dir, path)
	return rel, err == nil && rel != "." && filepath.IsLocal(rel)
}

// Digest is the SHA-256 of a file as it is now.
func (r *Reader) Digest(ctx context.Context, f *File) (string, error) {
	if f.Size > maxDigest {
		return "", fmt.Errorf("no digest: it has more than %d MiB", maxDigest>>20)
	}
	if r.digests -= f.Size; r.digests < 0 {
		return "", fmt.Errorf("no digest: one report reads %d MiB for digests", maxDigests>>20)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(readerOf{ctx, io.NewSectionReader(f, 0, maxDigest+1)}, maxDigest+1))
	if err != nil {
		return "", fmt.Errorf("no digest: %w", err)
	}
	if n != f.Size {
		return "", errors.New("no digest: it changes at the moment")
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// readerOf ends a long read with its context.
type readerOf struct {
	ctx context.Context
	io.Reader
}

func (r readerOf) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
