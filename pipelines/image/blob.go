package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// memory is a blob's reader that can seek and needs no closing; [io.NopCloser] would hide Seek.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func memoryReader(data []byte) memory { return memory{bytes.NewReader(data)} }

// memoryBlob is a small blob: a manifest, an index, a configuration.
func memoryBlob(mediaType string, data []byte) Blob {
	return Blob{
		Descriptor: content.NewDescriptorFromBytes(mediaType, data),
		Open: func(context.Context) (io.ReadCloser, error) {
			return memoryReader(data), nil
		},
	}
}

// jsonBlob is the compact JSON of a value. Struct fields keep their order and map keys are sorted, so the bytes depend
// on the value alone.
func jsonBlob(mediaType string, value any) (Blob, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return Blob{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return memoryBlob(mediaType, data), nil
}

// fileBlob is a layer in a local file.
func fileBlob(desc ocispec.Descriptor, path string) Blob {
	return Blob{
		Descriptor: desc,
		Open: func(context.Context) (io.ReadCloser, error) {
			return os.Open(path)
		},
	}
}

// fetchBlob is content that stays where it is until someone reads it.
func fetchBlob(desc ocispec.Descriptor, src content.Fetcher) Blob {
	return Blob{
		Descriptor: desc,
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			return src.Fetch(ctx, desc)
		},
	}
}

// contextReader ends a long copy when the context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
