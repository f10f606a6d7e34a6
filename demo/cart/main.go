// Carts, kept in Redis.
package main

import (
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	store := redis.NewClient(&redis.Options{Addr: "127.0.0.1:16379", PoolSize: 16})
	http.HandleFunc("/cart/", func(w http.ResponseWriter, r *http.Request) {
		key := "cart:" + strings.TrimPrefix(r.URL.Path, "/cart/")
		pipe := store.Pipeline()
		items := pipe.Incr(r.Context(), key)
		pipe.Expire(r.Context(), key, time.Hour)
		if _, err := pipe.Exec(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "{\"items\":%d}\n", items.Val())
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:18082", nil))
}
