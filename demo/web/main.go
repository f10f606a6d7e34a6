// The shop's front: it asks cart, catalog and checkout.
package main

import (
	"io"
	"log"
	"net/http"
	"time"
)

// Where each page of the shop gets its answer from.
var upstreams = map[string]string{
	"/cart/":     "http://127.0.0.1:18082",
	"/products/": "http://127.0.0.1:18083",
	"/report":    "http://127.0.0.1:18083",
	"/checkout":  "http://127.0.0.1:18084",
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
	for path, base := range upstreams {
		http.HandleFunc(path, forward(base))
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "welcome to the shop\n")
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:18081", nil))
}
