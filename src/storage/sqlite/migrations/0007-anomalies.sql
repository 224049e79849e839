-- Which anomalies a person has seen to.
SELECT 1;
