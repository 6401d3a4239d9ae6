package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

func program() service.Program {
	var upstreams *string
	return service.Program{
		Build: service.NewBuild("apifrontend", version, commit),
		Flags: func(f *flag.FlagSet) {
			upstreams = f.String("upstreams", "", "services behind it, as name=URL separated by commas")
		},
		Routes: func(mux *http.ServeMux, _ service.World) error { return route(mux, *upstreams) },
	}
}

// route hands /name/… on to the service of that name, as /….
func route(mux *http.ServeMux, upstreams string) error {
	for _, pair := range strings.FieldsFunc(upstreams, func(r rune) bool { return r == ',' }) {
		name, address, _ := strings.Cut(strings.TrimSpace(pair), "=")
		target, err := url.Parse(address)
		if err != nil || name == "" || target.Host == "" {
			return fmt.Errorf("upstream %q is not name=URL", pair)
		}
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		}}
		mux.Handle("/"+name+"/", http.StripPrefix("/"+name, proxy))
	}
	return nil
}
