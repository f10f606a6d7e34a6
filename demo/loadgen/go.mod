module limpid.demo/loadgen

go 1.18
