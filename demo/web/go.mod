module limpid.demo/web

go 1.18
