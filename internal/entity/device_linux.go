package entity

import (
	"os"
	"strconv"
	"syscall"
)

// deviceOf is the device of a file in the form of mountinfo.
func deviceOf(fi os.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	d := uint64(st.Dev)
	major := d>>8&0xfff | d>>32&^uint64(0xfff)
	minor := d&0xff | d>>12&^uint64(0xff)&0xffffffff
	return strconv.FormatUint(major, 10) + ":" + strconv.FormatUint(minor, 10)
}
