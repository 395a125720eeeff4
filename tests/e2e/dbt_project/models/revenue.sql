{{ config(materialized='materialized_view', indexes=[{'columns': ['region'], 'name': 'revenue_by_region'}]) }}

SELECT r.region, count(*) AS orders, sum(o.amount) AS total
FROM {{ source('topics', 'orders') }} o
JOIN {{ ref('regions') }} r ON r.city = o.city
GROUP BY r.region
