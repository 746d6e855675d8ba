package taskquery

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// openAPIDocument describes the API to clients; a test holds it against the table of routes.
//
//go:embed openapi.json
var openAPIDocument []byte

func (s *server) openAPI(context.Context, *http.Request) (any, error) {
	v, err := task.DecodeJSON(openAPIDocument)
	if err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	return v, nil
}
