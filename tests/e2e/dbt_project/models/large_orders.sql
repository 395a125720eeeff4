{{ config(materialized='view') }}

SELECT id, city, amount FROM {{ source('topics', 'orders') }} WHERE amount > 100
