package upcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// ready says what stands in the way of a start, in words that the collector's own errors do not have, and takes a free
// port where the usual one is taken.
func (o *options) ready() error {
	if err := runsAlready(o.Data); err != nil {
		return err
	}
	if !o.endpointIsDefault {
		return nil
	}
	l, err := net.Listen("tcp", o.Endpoint)
	if err != nil {
		o.Endpoint = "127.0.0.1:0"
		return nil
	}
	return l.Close()
}

// runsAlready says whether a collector answers for this directory. It is only a better message: the store is locked.
func runsAlready(data string) error {
	text, err := os.ReadFile(filepath.Join(data, "endpoint.json"))
	if err != nil {
		return nil
	}
	var info struct {
		URL string `json:"url"`
		PID int    `json:"pid"`
	}
	if json.Unmarshal(text, &info) != nil || info.URL == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, info.URL+"/healthz", nil)
	if err != nil {
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // left behind by one that was killed
	}
	_ = resp.Body.Close()
	return fmt.Errorf("a collector runs already for %s (process %d, %s): ask it with mida status, or end it first", data, info.PID, info.URL)
}
