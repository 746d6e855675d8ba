// Package transfer copies views between stores, whatever their databases, and compares them.
package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/otelcol-mida/otelcol-mida/internal/store"
)

// Sum counts parts and sums up their SHA-256, modulo 2^256: it does not depend on their order, and no change of one part
// is made up for by another but by chance. (An exclusive or would not see a part that is there twice.)
type Sum struct {
	Parts int64
	words [4]uint64
}

// Add counts a part.
func (s *Sum) Add(p store.Part) {
	h := sha256.New()
	for _, text := range []string{string(p.Kind), p.ID, p.Data} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
	digest := h.Sum(nil)
	var carry uint64
	for i := range s.words {
		s.words[i], carry = bits.Add64(s.words[i], binary.BigEndian.Uint64(digest[8*i:]), carry)
	}
	s.Parts++
}

// String is the sum in hexadecimal.
func (s Sum) String() string {
	var b []byte
	for _, w := range s.words {
		b = binary.BigEndian.AppendUint64(b, w)
	}
	return hex.EncodeToString(b)
}
