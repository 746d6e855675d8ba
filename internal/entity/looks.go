package entity

import "strings"

// maxPath is the longest string that Linux takes as a path.
const maxPath = 4096

// knownExt are extensions that mark a bare name as a file of data, of a model or
// of results, and the only ones believed when they begin with a digit or are a
// single letter.
var knownExt = set("npz npy h5 hdf5 hdf he5 nc nc4 cdf zarr csv tsv parquet feather arrow orc avro json jsonl ndjson " +
	"yaml yml toml ini cfg pkl pickle joblib dill pt pth ckpt onnx safetensors gguf keras pb tflite bst ubj model weights " +
	"tfrecord tif tiff png jpg jpeg bmp gif svg webp pdf eps dm3 dm4 mrc ser emd emi tvips edf cbf cif pdb xyz vasp mmcif gro " +
	"xtc trr dcd psf lammpstrj raw bin dat data txt log out err md xml html xls xlsx ods db sqlite sqlite3 duckdb tar gz tgz bz2 xz " +
	"zip zst lz4 7z mat rds rdata fits root vtk vtu vtp vtr pvd hdr nii mha mhd nrrd dcm czi lif nd2 oib vsi ims mp4 avi mov " +
	"mkv wav flac mp3 fasta fa fastq fq bam sam cram vcf bcf bed gff gtf las laz ply stl obj geojson shp tex ipynb py r c h m o a f z")

var mimeTypes = set("application audio font image message model multipart text video example chemical")

var webDomains = set("com org net edu gov io de uk ch fr eu ai dev info jp cn us ca it nl se es at be pl au in br app cloud co")

var slashWords = set("n/a and/or either/or yes/no true/false on/off i/o tcp/ip y/n he/she his/her km/h m/s")

// LooksLikePath reports whether a string is a local path. field is the name
// under which the task had it, nested names joined by dots; "" when there is
// none. It errs towards no: a missing link is seen, a wrong one is believed.
//
// A path is: an absolute one with two parts or an extension; one that starts
// with ./, ../ or ~/; a relative one whose last part has an extension; a
// relative one without an extension where the field says path, file or
// directory; a bare name with a known extension where the field names a file or
// a thing that often is one.
func LooksLikePath(field, value string) bool {
	if len(value) < 2 || len(value) > maxPath || !plausible(value) {
		return false
	}
	if isWindowsPath(value) {
		return true
	}
	if strings.IndexByte(value, '\\') >= 0 {
		return false
	}
	slash := strings.IndexByte(value, '/')
	switch {
	case slash == 0:
		return absolutePath(field, value)
	case slash > 0 && (value[:slash] == "." || value[:slash] == ".." || value[:slash] == "~"):
		return !spacedOut(field, value) && hasName(value[slash+1:])
	case slash > 0:
		return relativePath(field, value)
	}
	return strings.IndexByte(value, ' ') < 0 && strings.IndexByte(value, ':') < 0 &&
		fieldHint(field) != hintNone && knownExt[lowerExt(value)]
}

// plausible refuses what no sane file name holds: control characters, patterns,
// templates, unexpanded variables, and white space around it.
func plausible(s string) bool {
	for i := range len(s) {
		switch c := s[i]; c {
		case '*', '?', '<', '>', '|', '"', '`', '{', '}', '$', '^', ';', 0x7f:
			return false
		default:
			if c < ' ' {
				return false
			}
		}
	}
	return s[0] != ' ' && s[len(s)-1] != ' '
}

func isWindowsPath(s string) bool {
	if len(s) > 3 && isAlpha(s[0]) && s[1] == ':' && (s[2] == '\\' || s[2] == '/') {
		rest := s[3:]
		return strings.IndexByte(rest, ':') < 0 && isAlnum(rest[0]) && (strings.ContainsAny(rest[1:], `\/`) || lowerExt(rest) != "")
	}
	if rest, ok := strings.CutPrefix(s, `\\`); ok {
		i := strings.IndexByte(rest, '\\')
		return i > 0 && i+1 < len(rest) && isAlnum(rest[0]) && isAlnum(rest[i+1]) && !strings.ContainsAny(rest, "+()[]/:")
	}
	return false
}

func absolutePath(field, s string) bool {
	if strings.HasPrefix(s, "//") || strings.Contains(s, ":/") || spacedOut(field, s) {
		return false // a comment, a search path, a sentence
	}
	if first := part(s[1:]); first == "proc" || first == "sys" || first == "dev" && !strings.HasPrefix(s, "/dev/shm/") {
		return false
	}
	parts, letters := 0, false
	for p := range strings.SplitSeq(s[1:], "/") {
		if hasName(p) {
			parts++
			letters = letters || !numeric(p)
		}
	}
	return letters && (parts >= 2 || fileExt(s) != "")
}

func relativePath(field, s string) bool {
	if strings.IndexByte(s, ':') >= 0 || strings.Contains(s, "//") || spacedOut(field, s) {
		return false
	}
	first := part(s)
	if isDomain(first) || len(s) < 12 && slashWords[strings.ToLower(s)] {
		return false
	}
	letters := false
	for p := range strings.SplitSeq(strings.TrimSuffix(s, "/"), "/") {
		if !hasName(p) && p != "." && p != ".." {
			return false
		}
		letters = letters || !numeric(p)
	}
	if !letters {
		return false // a date, a fraction
	}
	ext := fileExt(s)
	h := fieldHint(field)
	if mimeTypes[first] && strings.Count(s, "/") == 1 && (ext == "" || !knownExt[strings.ToLower(ext)]) {
		return false
	}
	if ext != "" {
		return h == hintPath || strings.IndexByte(s, '@') < 0
	}
	return h == hintPath
}

// spacedOut tells a sentence from a file name with blanks: those need an
// extension or a field that vouches for them.
func spacedOut(field, s string) bool {
	if strings.IndexByte(s, ' ') < 0 {
		return false
	}
	if strings.Contains(s, "  ") || strings.Contains(s, ", ") || strings.Contains(s, ". ") {
		return true
	}
	if fieldHint(field) == hintPath {
		return false
	}
	return s[0] != '/' && s[0] != '.' && s[0] != '~' || !knownExt[lowerExt(s)]
}

// fileExt is the extension of the last part when it looks like one of a file:
// 1 to 8 letters and digits behind a stem. "opt-1.3b", "v1.2" and "m2.K" have
// none.
func fileExt(s string) string {
	name := lastPart(s)
	i := strings.LastIndexByte(name, '.')
	if i <= 0 || i+1 == len(name) || strings.Trim(name[:i], ".") == "" {
		return ""
	}
	ext := name[i+1:]
	if len(ext) > 8 && !knownExt[strings.ToLower(ext)] {
		return ""
	}
	for j := range len(ext) {
		if !isAlnum(ext[j]) {
			return ""
		}
	}
	if len(ext) > 1 && !isDigit(ext[0]) {
		return ext
	}
	if i > 1 && knownExt[strings.ToLower(ext)] {
		return ext
	}
	return ""
}

func lowerExt(s string) string {
	if i := strings.LastIndexByte(s, '\\'); i >= 0 {
		s = s[i+1:]
	}
	return strings.ToLower(fileExt(s))
}

// isDomain sees the host of an address that lost its scheme.
func isDomain(s string) bool {
	if strings.HasPrefix(s, "www.") {
		return true
	}
	i := strings.LastIndexByte(s, '.')
	return i > 0 && webDomains[s[i+1:]]
}

// hasName reports whether a string has a character that is neither a dot nor a
// slash.
func hasName(s string) bool { return strings.Trim(s, "./") != "" }

func numeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && c != '.' && c != '-' && c != ',' && c != '+' {
			return false
		}
	}
	return true
}

// part is the first part of a relative path.
func part(s string) string {
	first, _, _ := strings.Cut(s, "/")
	return first
}
