module warren/test/foreign/peer-exchange

go 1.21
