// Package remotewrite sends samples to a Prometheus remote write 1.0 endpoint
// (https://prometheus.io/docs/specs/prw/remote_write_spec/).
package remotewrite

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
)

// Field numbers of the messages WriteRequest, TimeSeries, Label and Sample, from the specification's "Protocol".
const (
	requestSeries   protowire.Number = 1
	seriesLabels    protowire.Number = 1
	seriesSamples   protowire.Number = 2
	labelName       protowire.Number = 1
	labelValue      protowire.Number = 2
	sampleValue     protowire.Number = 1
	sampleTimestamp protowire.Number = 2
)

// Encode returns the WriteRequest, a series for each sample. protowire alone is used, and not generated code, because
// the four messages are small and the protobuf runtime would add seconds to a cold build.
func Encode(samples []series.Sample) []byte {
	var request, one, inner []byte
	for _, sample := range samples {
		one = one[:0]
		for _, label := range sample.Labels {
			inner = protowire.AppendTag(inner[:0], labelName, protowire.BytesType)
			inner = protowire.AppendString(inner, label.Name)
			inner = protowire.AppendTag(inner, labelValue, protowire.BytesType)
			inner = protowire.AppendString(inner, label.Value)
			one = protowire.AppendTag(one, seriesLabels, protowire.BytesType)
			one = protowire.AppendBytes(one, inner)
		}
		inner = protowire.AppendTag(inner[:0], sampleValue, protowire.Fixed64Type)
		inner = protowire.AppendFixed64(inner, math.Float64bits(sample.Value))
		inner = protowire.AppendTag(inner, sampleTimestamp, protowire.VarintType)
		inner = protowire.AppendVarint(inner, uint64(sample.Time))
		one = protowire.AppendTag(one, seriesSamples, protowire.BytesType)
		one = protowire.AppendBytes(one, inner)
		request = protowire.AppendTag(request, requestSeries, protowire.BytesType)
		request = protowire.AppendBytes(request, one)
	}
	return request
}
