// The shop's front: it asks cart, catalog and checkout; in the full shop shipping and reviews too, and all by their names.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Which service has the answer to each page, and its port.
var upstreams = map[string]struct{ name, port string }{
	"/cart/":     {"cart", "18082"},
	"/products/": {"catalog", "18083"},
	"/report":    {"catalog", "18083"},
	"/checkout":  {"checkout", "18084"},
	"/shipping/": {"shipping", "18085"},
	"/reviews/":  {"reviews", "18086"},
}

var client = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 32},
}

func forward(base string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, base+r.URL.RequestURI(), r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		response, err := client.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	}
}

func main() {
	names := flag.Bool("names", false, "find services by their names, not on 127.0.0.1")
	flag.Parse()
	for path, upstream := range upstreams {
		host := "127.0.0.1"
		if *names {
			host = upstream.name
		}
		http.HandleFunc(path, forward("http://"+net.JoinHostPort(host, upstream.port)))
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "welcome to the shop\n")
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:18081", nil))
}
