CREATE DATABASE shop;
CREATE USER shop@'127.0.0.1';
GRANT ALL ON shop.* TO shop@'127.0.0.1';
USE shop;
CREATE TABLE reviews (id int AUTO_INCREMENT PRIMARY KEY, product int NOT NULL, stars int NOT NULL, body text NOT NULL, KEY (product));
INSERT INTO reviews (product, stars, body)
    WITH RECURSIVE numbers AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < 999)
    SELECT i + 1, i % 5 + 1, concat('review of product ', i + 1) FROM numbers;
