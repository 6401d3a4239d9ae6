module example.com/acme/shop/web

go 1.26
