CREATE TABLE products (id integer PRIMARY KEY, name text NOT NULL, cents integer NOT NULL);
INSERT INTO products SELECT i, 'product ' || i, 100 + i % 900 FROM generate_series(1, 1000) AS i;
CREATE TABLE orders (id serial PRIMARY KEY, product integer NOT NULL REFERENCES products, placed timestamptz DEFAULT now());
