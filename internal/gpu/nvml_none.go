//go:build !gpu || !cgo || !linux

package gpu

// openNVML returns nil: this binary was built without the library.
func openNVML() Reader { return nil }
